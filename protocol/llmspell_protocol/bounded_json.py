"""JSON to values, with an end to how many (see `bounded`)."""

from __future__ import annotations

import json
import re
from typing import Any

from llmspell_protocol import bounded
from llmspell_protocol.bounded import Counted

_MANY_DIGITS = 1000

# Every text is skipped in one go, an unfinished one too: nothing is ever read twice.
_TEXTS = re.compile(rb'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)', re.DOTALL)


def load_json(data: bytes) -> Any:
    """The value of a JSON input.

    Raises:
        TooManyValues: see there.
        ValueError, RecursionError: it is not JSON, or too deep.
    """
    if len(data) > bounded.UNCOUNTED_BYTES and not _is_bounded(data) and not _is_bounded_without_texts(data):
        raise Counted(bounded.MAX_VALUES, bounded.MAX_CONTAINERS).too_many()
    return read_json(data)


def read_json(data: bytes) -> Any:
    """The same without a bound."""
    # From bytes, json would let surrogates through.
    text = data.decode()
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        raise
    except ValueError:
        # Python reads no integer of thousands of digits; the field's check refuses it by its name.
        return json.loads(text, parse_int=_integer)


def _integer(digits: str) -> float:
    return int(digits) if len(digits) < _MANY_DIGITS else float(digits)


def _is_bounded(data: bytes) -> bool:
    containers = data.count(b"[") + data.count(b"{")
    return containers <= bounded.MAX_CONTAINERS and containers + data.count(b",") <= bounded.MAX_VALUES


def _is_bounded_without_texts(data: bytes) -> bool:
    # An entry has two texts at most, its key and itself. Counted first, since it takes no time.
    quotes = data.replace(b"\\\\", b"").replace(b'\\"', b"").count(b'"') if b"\\" in data else data.count(b'"')
    return quotes <= 4 * bounded.MAX_VALUES and _is_bounded(_TEXTS.sub(b"", data))
