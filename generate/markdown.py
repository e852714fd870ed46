"""Markdown that is written from the code: tables, and pages of which only marked parts are."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

_PART = re.compile(r"(<!-- generated: (?P<name>[^>]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    """The lines of a table."""
    columns = list(header)
    yield _row(columns)
    yield "|" + "---|" * len(columns)
    yield from map(_row, rows)


def _row(cells: Iterable[str]) -> str:
    return "|" + "".join(f" {cell} |" if cell else " |" for cell in cells)


def marked(page: str) -> list[str]:
    """The names of the page's parts."""
    return [part["name"] for part in _PART.finditer(page)]


def filled(page: str, parts: Mapping[str, Iterable[str]]) -> str:
    """The page with the lines of its parts, each between `<!-- generated: NAME -->` and `<!-- end -->`.

    Raises:
        KeyError: the page marks a part that isn't given, or has no place for one that is.
    """
    seen: list[str] = []

    def fill(found: re.Match[str]) -> str:
        seen.append(found["name"])
        return found[1] + "".join(f"{line}\n" for line in parts[found["name"]]) + found[3]

    text = _PART.sub(fill, page)
    if missing := parts.keys() - seen:
        raise KeyError(f"no place for {', '.join(sorted(missing))}")
    return text
