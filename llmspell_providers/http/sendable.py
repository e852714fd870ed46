"""Whether a request can be written as JSON at all: said before it is sent, so that no server is blamed for it."""

from __future__ import annotations

import math
from collections.abc import Mapping

from llmspell_protocol.errors import InvalidRequest


def demand_json(body: Mapping[str, object]) -> None:
    """Looks at every value of a request.

    Raises:
        InvalidRequest: one is nothing that JSON has; the message says where.
    """
    try:
        for name, value in body.items():
            _look(value, name)
    except RecursionError:
        raise InvalidRequest("the request is nested too deeply to be sent") from None


def _look(value: object, where: str) -> None:
    if isinstance(value, str):
        if not value.isascii():
            _look_at_text(value, where)
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            if not isinstance(name, str):
                raise InvalidRequest(f"{where} has a key that is not text, which can't be sent")
            _look(inner, f"{where}.{name}")
    elif isinstance(value, list | tuple):
        for at, inner in enumerate(value):
            _look(inner, f"{where}[{at}]")
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise InvalidRequest(f"{where} is {value}, which can't be sent")
    elif not isinstance(value, int | None):
        raise InvalidRequest(f"{where} is a {type(value).__name__}, which can't be sent")


def _look_at_text(value: str, where: str) -> None:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InvalidRequest(f"{where} has half of a character in it, which can't be sent") from None
