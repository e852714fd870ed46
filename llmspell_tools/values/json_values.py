"""JSON texts and values of a tool's input: read strictly, and held to a depth. Knows no tool."""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

_SPACE = re.compile(r"[ \t\r\n]*")


class NotJson(ValueError):
    """A text that is no JSON, or a value that is nested deeper than it may; the message says where."""


def read_json(text: str, deepest: int) -> Any:
    """The value of a JSON text.

    Raises:
        NotJson: it is none, it has NaN or Infinity in it, or it is nested deeper than `deepest`.
    """
    values = read_many(text, deepest)
    if len(values) != 1:
        raise NotJson("there is nothing in it" if not values else "there is more than one JSON value in it")
    return values[0]


def read_many(text: str, deepest: int) -> list[Any]:
    """The values of a text with JSON after JSON, with or without lines between them.

    Raises:
        NotJson: see `read_json`.
    """
    decoder = json.JSONDecoder(parse_constant=_no_constant)
    values = []
    position = _after_space(text, 1 if text.startswith("\ufeff") else 0)
    while position < len(text):
        try:
            value, position = decoder.raw_decode(text, position)
        except json.JSONDecodeError as error:
            raise NotJson(f"{error.msg[0].lower()}{error.msg[1:]}: line {error.lineno} column {error.colno}") from None
        except RecursionError:
            raise NotJson(_too_deep(deepest)) from None
        except ValueError as error:
            # Constants, and integers of more digits than Python reads.
            raise NotJson(str(error)) from None
        demand_depth(value, deepest)
        values.append(value)
        position = _after_space(text, position)
    return values


def demand_depth(value: Any, deepest: int) -> None:
    """Raises `NotJson` for a value with more than `deepest` arrays and objects inside each other."""
    level = [value]
    for _ in range(deepest):
        level = [
            inner
            for outer in level
            if isinstance(outer, (dict, list, tuple))
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, (dict, list, tuple))
        ]
        if not level:
            return
    raise NotJson(_too_deep(deepest))


def written(value: Any, *, pretty: bool = False) -> str:
    """A value as JSON text.

    Raises:
        NotJson: JSON can't say it.
    """
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, indent=2 if pretty else None)
    except (TypeError, ValueError, RecursionError) as error:
        raise NotJson(str(error)) from None


def _after_space(text: str, position: int) -> int:
    found = _SPACE.match(text, position)
    return found.end() if found else position


def _too_deep(deepest: int) -> str:
    return f"it is nested deeper than {deepest} (tools.data.max_json_depth)"


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"JSON has no {name}")
