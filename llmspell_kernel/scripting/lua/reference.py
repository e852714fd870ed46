"""What scripts can call, as people read it: `reference.toml`, looked up for Tab, Shift-Tab and the reference page."""

from __future__ import annotations

import os
from collections.abc import Mapping
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


@cache
def sections() -> Mapping[str, Section]:
    """All of them, in the order in which they are to be read."""
    return {name: _section(name, table) for name, table in _read().items() if name != _PARAMETERS}


def parameter_types() -> Mapping[str, str]:
    """What a parameter takes, by its name or by `section.function.name`."""
    types: Mapping[str, str] = _read()[_PARAMETERS]
    return types


_PARAMETERS = "parameters"


@cache
def _read() -> Mapping[str, Any]:
    # Only who asks about names needs it.
    import tomllib

    with open(f"{os.path.dirname(__file__)}/reference.toml", "rb") as file:
        return tomllib.load(file)


def _section(name: str, table: Mapping[str, object]) -> Section:
    fields = table.get("fields", {})
    assert isinstance(fields, dict)
    since = str(table.get("since", FIRST))
    entries = {
        key: Entry(key, row.get("call"), row["gives"], row["doc"], row.get("since", since))
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
    )


def described(owner: str, separator: str, entry: Entry) -> str:
    """An entry as Shift-Tab shows it: how it is called and what it gives, what it does, and since when."""
    gives = "" if entry.gives == "nil" else f" → {entry.gives}"
    shown = f"{owner}{separator}{entry.name}{entry.call or ''}{gives}"
    return f"{shown}\n\n{wrapped(entry.doc)}\n\nsince {entry.since}"


def wrapped(doc: str) -> str:
    """A text in lines that fit where they are shown."""
    # Only who reads it needs it.
    import textwrap

    return textwrap.fill(doc, 88, break_long_words=False, break_on_hyphens=False)
