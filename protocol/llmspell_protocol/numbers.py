"""Numbers as they come in: the one place that says which are taken, for requests, options, settings and commands.

A number is finite and no boolean; an integer has 64 bits, which is what msgpack and Lua carry. Beside that it has
a range, whose ends belong to it. Knows no field: what is wrong is said so that a field's name can stand before it.
"""

from __future__ import annotations

from math import inf, isfinite

INT64_LOW, INT64_HIGH = -(1 << 63), (1 << 63) - 1
INT32_HIGH = (1 << 31) - 1
"""The largest count that the engines take."""

FINITE_NUMBER = "a finite number"
WHOLE_NUMBER = "a whole number of at most 64 bits"

_WHOLE = r"[+-]?[0-9]{1,40}"
_FRACTION = r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"


class WrongNumber(ValueError):
    """What is no number or outside of its range; the text goes on from the name of a field, such as `must be …`."""


def is_whole(value: object) -> bool:
    """Whether it is an integer that is carried everywhere."""
    return isinstance(value, int) and not isinstance(value, bool) and INT64_LOW <= value <= INT64_HIGH


def is_number(value: object) -> bool:
    """Whether it is a finite number, whole or not."""
    return is_whole(value) or (isinstance(value, float) and isfinite(value))


def whole(value: object) -> int:
    """A whole number; a fraction of zero is none, so that what a script has divided may be one.

    Raises:
        WrongNumber: it is something else.
    """
    if isinstance(value, float) and value.is_integer() and INT64_LOW <= value < -INT64_LOW:
        return int(value)
    if not is_whole(value):
        raise WrongNumber(f"must be {WHOLE_NUMBER}")
    assert isinstance(value, int)
    return value


def number(value: object) -> float:
    """A finite number.

    Raises:
        WrongNumber: it is something else.
    """
    if not is_number(value):
        raise WrongNumber(f"must be {FINITE_NUMBER}")
    assert isinstance(value, (int, float))
    return value


def demand_range(value: float, low: float = -inf, high: float = inf) -> None:
    """Raises `WrongNumber`, with both ends and in digits, where a number lies outside of them."""
    if not low <= value <= high:
        raise WrongNumber(f"must be from {_shown(low)} to {_shown(high)}, got {_shown(value)}")


def _shown(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.10g}"


def from_text(text: str) -> int | float | None:
    """The number that a text is, as people write one: digits, a point, an exponent; None for anything else.

    The words for what is no number, other scripts' digits and what lies beyond 64 bits or the largest float are texts.
    """
    # Few processes read numbers from texts, and workers start with this module.
    import re

    written = text.strip()
    if re.fullmatch(_WHOLE, written):
        found = int(written)
        return found if is_whole(found) else None
    if re.fullmatch(_FRACTION, written):
        value = float(written)
        return value if isfinite(value) else None
    return None
