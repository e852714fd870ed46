"""What a placeholder's filters make of a value: `:substring:0:3`, `:uppercase`, `:format:YYYYMMDD`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from llmspell_kernel.services.workflows.value_text import value_text, whole_number

_PLAIN: Mapping[str, Callable[[str], str]] = {"uppercase": str.upper, "lowercase": str.lower, "trim": str.strip}
FILTERS = frozenset({*_PLAIN, "substring", "format"})
"""A part of a placeholder with one of these names begins its filters."""

_DATE_PARTS = {
    "YYYY": "%Y",
    "YY": "%y",
    "MM": "%m",
    "DD": "%d",
    "HH": "%H",
    "mm": "%M",
    "ss": "%S",
}
_DATE_PART = re.compile("|".join(_DATE_PARTS))


class BadFilter(ValueError):
    """A filter that there is not, or that can't be used on the value; the text says why."""


def filtered(value: Any, parts: Sequence[str]) -> Any:
    """The value after its filters, in order; `parts` is what stood between the colons.

    Raises:
        BadFilter: one of them can't be used.
    """
    rest = list(parts)
    while rest:
        name = rest.pop(0)
        if name in _PLAIN:
            value = _PLAIN[name](value_text(value))
        elif name == "substring":
            value = value_text(value)[slice(*_bounds(rest))]
        elif name == "format":
            # A time has colons itself.
            value, rest = _formatted(value, ":".join(rest)), []
        else:
            raise BadFilter(f"there is no filter '{name}'")
    return value


def _bounds(rest: list[str]) -> tuple[int, int | None]:
    numbers: list[int] = []
    while rest and len(numbers) < 2 and (number := whole_number(rest[0])) is not None:
        numbers.append(number)
        rest.pop(0)
    if not numbers:
        raise BadFilter("substring needs a start, and may have an end: substring:0:3")
    return numbers[0], numbers[1] if len(numbers) == 2 else None


def _formatted(value: Any, form: str) -> str:
    if not form:
        raise BadFilter("format needs a form: format:YYYYMMDD")
    try:
        time = datetime.fromisoformat(value_text(value))
    except ValueError:
        raise BadFilter(f"format needs a time, and '{value_text(value)[:40]}' is none") from None
    return _DATE_PART.sub(lambda found: time.strftime(_DATE_PARTS[found[0]]), form)
