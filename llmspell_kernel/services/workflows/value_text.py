"""A value as text where a placeholder stands among other words, and values within values by their path."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

_PATH_PART = re.compile(r"\.?([^.\[\]]+)|\[(\d+)\]")
_WHOLE_NUMBER = re.compile(r"[0-9]{1,18}")


def value_text(value: Any) -> str:
    """Text as it is, tables as JSON, and all else as Lua writes it."""
    if isinstance(value, str):
        return value
    if value is None:
        return "nil"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        text = f"{value:.14g}"
        return text if re.search(r"[^\d-]", text) else f"{text}.0"
    if isinstance(value, int):
        return str(value)
    return json.dumps(value, ensure_ascii=False)


def whole_number(text: str) -> int | None:
    """The number that a placeholder writes, an index or a bound; None: it is none, or beyond any length."""
    return int(text) if _WHOLE_NUMBER.fullmatch(text) else None


def within(value: Any, path: str) -> tuple[bool, Any]:
    """Whether there is a value at a path such as `.items[1].name`, and which; lists count from 1."""
    at = 0
    while at < len(path):
        found = _PATH_PART.match(path, at)
        if found is None:
            return False, None
        at = found.end()
        key = found[1] if found[1] is not None else found[2]
        if isinstance(value, Mapping):
            if key not in value:
                return False, None
            value = value[key]
        elif isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
            number = whole_number(key)
            if number is None or not 1 <= number <= len(value):
                return False, None
            value = value[number - 1]
        else:
            return False, None
    return True, value
