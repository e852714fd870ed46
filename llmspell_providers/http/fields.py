"""Fields of replies read with care: null stands for nothing, another type than the right one is an error that says so.

Servers leave fields out or send null where a list or a text is expected. Knows JSON, no interface.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from llmspell_protocol.plain_text import whole_text

_LARGEST = (1 << 63) - 1
_HIGH = ("\ud800", "\udbff")


class Misshapen(ValueError):
    """A field has another type than it can have; the text names both, and the field."""


def record(value: object, where: str) -> Mapping[str, Any]:
    """An object; empty for null."""
    if value is None:
        return {}
    if isinstance(value, Mapping):
        return value
    raise _wrong("an object", value, where)


def items(value: object, where: str) -> Sequence[Any]:
    """A list; empty for null."""
    if value is None:
        return ()
    if isinstance(value, list | tuple):
        return value
    raise _wrong("a list", value, where)


def records(value: object, where: str) -> list[Mapping[str, Any]]:
    """A list of objects; empty for null."""
    return [record(one, f"{where}[{at}]") for at, one in enumerate(items(value, where))]


def text(value: object, where: str) -> str:
    """A text; empty for null. Halves of pairs may stand in it: see `Halves`."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    raise _wrong("text", value, where)


def plain_text(value: object, where: str) -> str:
    """A text that stands for itself; empty for null, and U+FFFD for each half of a pair."""
    return whole(text(value, where))


def count(value: object, where: str) -> int:
    """A whole number that is not negative; 0 for null."""
    if value is None:
        return 0
    if isinstance(value, float) and math.isfinite(value) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _LARGEST:
        return value
    raise _wrong("a count", value, where)


def number(value: object, where: str) -> float:
    """A number that is finite; 0.0 for null."""
    if value is None:
        return 0.0
    if isinstance(value, int | float) and not isinstance(value, bool) and -_LARGEST <= value <= _LARGEST:
        return float(value)
    raise _wrong("a number", value, where)


def vector(value: object, where: str) -> list[float]:
    """A list of finite numbers that fit float32, one at least."""
    row = items(value, where)
    if not row:
        raise Misshapen(f"an empty vector at {where}")
    # One pass without a call a number: a reply may have millions.
    if not all(type(one) is float or type(one) is int for one in row):
        raise Misshapen(f"something else than numbers in {where}")
    if not all(-3.4e38 < one < 3.4e38 for one in row):
        raise Misshapen(f"a number in {where} that is not finite")
    return list(row)


def whole(value: str) -> str:
    """A text with pairs joined and U+FFFD for what is half a pair, which no other program takes."""
    if value.isascii():
        return value
    try:
        value.encode()
    except UnicodeEncodeError:
        return whole_text(value)
    return value


class Halves:
    """A text that comes in pieces: halves of a pair that come in two pieces are joined, others become U+FFFD."""

    def __init__(self) -> None:
        self._held = ""

    def take(self, piece: str) -> str:
        """What can be shown by now."""
        if self._held:
            piece, self._held = self._held + piece, ""
        if piece and _HIGH[0] <= piece[-1] <= _HIGH[1]:
            piece, self._held = piece[:-1], piece[-1]
        return whole(piece)

    def rest(self) -> str:
        """What is left after the last piece."""
        held, self._held = self._held, ""
        return "\ufffd" if held else ""


def _wrong(expected: str, value: object, where: str) -> Misshapen:
    kinds = {bool: "a boolean", int: "a number", float: "a number", str: "text", list: "a list", dict: "an object"}
    got = next((name for kind, name in kinds.items() if isinstance(value, kind)), "something else")
    return Misshapen(f"{got if got != expected else 'another number'} where {expected} belongs, at {where}")
