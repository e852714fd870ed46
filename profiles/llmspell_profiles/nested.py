"""Tables in tables, as TOML has them: what stands at the ends, one laid over another. Knows no keys."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from llmspell_profiles.problems import KeyPath


def leaves(
    data: Mapping[str, Any], path: KeyPath = (), *, whole: Callable[[KeyPath, Any], bool] | None = None
) -> Iterator[tuple[KeyPath, Any]]:
    """The path and value of everything that is no table; tables of which `whole` is true are not entered.

    An empty table has no leaves.
    """
    for name, value in data.items():
        inner = (*path, name)
        if isinstance(value, dict) and (whole is None or not whole(inner, value)):
            yield from leaves(value, inner, whole=whole)
        else:
            yield inner, value


def merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """One table with another over it: tables of one name are merged, other values replaced."""
    both = dict(below)
    for key, value in above.items():
        under = both.get(key)
        both[key] = merged(under, value) if isinstance(under, dict) and isinstance(value, dict) else value
    return both


def with_value(data: Mapping[str, Any], path: KeyPath, value: Any) -> dict[str, Any]:
    """The tables with a value at a path."""
    for name in reversed(path):
        value = {name: value}
    return merged(data, value)
