"""JSON with one wrong value in it, for every place where one may stand."""

from __future__ import annotations

import copy
from typing import Any

ODD: dict[str, Any] = {
    "null": None,
    "true": True,
    "a number": 7,
    "a huge number": 10**30,
    "below zero": -1,
    "a fraction": 0.5,
    "text": "odd",
    "a list": [],
    "a list of lists": [[1]],
    "an object": {},
    "an odd object": {"odd": [None]},
}


def leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of all values inside of one, and its own."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(leaf for name, one in inner for leaf in leaves(one, (*path, name)))]


def with_value(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    """A copy with another value at a path."""
    if not path:
        return new
    changed = copy.deepcopy(value)
    at = changed
    for name in path[:-1]:
        at = at[name]
    at[path[-1]] = new
    return changed
