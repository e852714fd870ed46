"""What scripts can call, as people read it: `reference.toml`, looked up for Tab, Shift-Tab and the reference page."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

FIRST = "0.1.0"
"""The version that had everything first of which the file says no other."""


class Entry(NamedTuple):
    """A function or a value: `call` is what stands behind its name, None for a value; `gives` a section or a type."""

    name: str
    call: str | None
    gives: str
    doc: str
    since: str
    example: str | None = None


class Section(NamedTuple):
    """A global, one of Lua's libraries or an object that calls give (`kind`), with its fields by name.

    `call` and `gives` are of one that can be called itself, `others` what any further name in it is.
    """

    name: str
    kind: str
    doc: str
    call: str | None
    gives: str
    since: str
    others: str | None
    fields: Mapping[str, Entry]
    example: str | None = None


@cache
def sections() -> Mapping[str, Section]:
    """All of them, in the order in which they are to be read."""
    return {name: _section(name, table) for name, table in _read().items() if name not in (_PARAMETERS, _OPTIONS)}


def parameter_types() -> Mapping[str, str]:
    """What a parameter takes, by its name or by `section.function.name`."""
    types: Mapping[str, str] = _read()[_PARAMETERS]
    return types


@cache
def manual() -> Mapping[str, Entry]:
    """Lua's own functions, by their whole names: `pairs`, `string.rep`."""
    found: dict[str, Entry] = {}
    for name, row in _table("manual.toml").items():
        rows = {name: row} if isinstance(row, list) else {f"{name}.{key}": one for key, one in row.items()}
        for whole, (call, gives, doc) in rows.items():
            found[whole] = Entry(whole, call, gives, doc, "Lua 5.4")
    return found


def options_of(section: str, function: str) -> Sequence[str]:
    """The keys of the table that a function takes; none where it takes no such table."""
    groups: Mapping[str, Sequence[str]] = _read()[_OPTIONS]

    def listed(names: Sequence[str]) -> Iterator[str]:
        for name in names:
            if name.startswith("+"):
                yield from listed(groups[name[1:]])
            else:
                yield name

    return tuple(listed(groups.get(f"{section}.{function}", ())))


_PARAMETERS = "parameters"
_OPTIONS = "options"


@cache
def _read() -> Mapping[str, Any]:
    return _table("reference.toml")


def _table(name: str) -> Mapping[str, Any]:
    # Only who asks about names needs it.
    import tomllib

    with open(f"{os.path.dirname(__file__)}/{name}", "rb") as file:
        return tomllib.load(file)


def _section(name: str, table: Mapping[str, object]) -> Section:
    fields = table.get("fields", {})
    assert isinstance(fields, dict)
    since = str(table.get("since", FIRST))
    entries = {
        key: Entry(key, row.get("call"), row["gives"], row["doc"], row.get("since", since), row.get("example"))
        for key, row in fields.items()
    }
    call = table.get("call")
    return Section(
        name,
        str(table["kind"]),
        str(table["doc"]),
        None if call is None else str(call),
        str(table.get("gives", name)),
        since,
        None if table.get("others") is None else str(table["others"]),
        entries,
        None if table.get("example") is None else str(table["example"]),
    )


def wrapped(doc: str) -> str:
    """A text in lines that fit where they are shown."""
    # Only who reads it needs it.
    import textwrap

    return textwrap.fill(doc, 88, break_long_words=False, break_on_hyphens=False)
