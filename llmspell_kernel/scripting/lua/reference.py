"""What scripts can call, as people read it: `reference.toml`, looked up for Tab, Shift-Tab and the reference page."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from typing import NamedTuple


class Entry(NamedTuple):
    """A function or a value: `call` is what stands behind its name, None for a value; `gives` a section or a type."""

    name: str
    call: str | None
    gives: str
    doc: str


class Section(NamedTuple):
    """A global, one of Lua's libraries or an object that calls give (`kind`), with its fields by name."""

    name: str
    kind: str
    doc: str
    call: str | None
    gives: str
    fields: Mapping[str, Entry]


@cache
def sections() -> Mapping[str, Section]:
    """All of them, in the order in which they are to be read."""
    # Only who asks about names needs it.
    import tomllib

    with open(f"{os.path.dirname(__file__)}/reference.toml", "rb") as file:
        read = tomllib.load(file)
    return {name: _section(name, table) for name, table in read.items()}


def _section(name: str, table: Mapping[str, object]) -> Section:
    fields = table.get("fields", {})
    assert isinstance(fields, dict)
    entries = {key: Entry(key, row.get("call"), row["gives"], row["doc"]) for key, row in fields.items()}
    call = table.get("call")
    return Section(
        name,
        str(table["kind"]),
        str(table["doc"]),
        None if call is None else str(call),
        str(table.get("gives", name)),
        entries,
    )


def described(owner: str, separator: str, entry: Entry) -> str:
    """An entry as Shift-Tab shows it: how it is called and what it gives, then what it does."""
    gives = "" if entry.gives == "nil" else f" → {entry.gives}"
    return f"{owner}{separator}{entry.name}{entry.call or ''}{gives}\n\n{wrapped(entry.doc)}"


def wrapped(doc: str) -> str:
    """A text in lines that fit where they are shown."""
    # Only who reads it needs it.
    import textwrap

    return textwrap.fill(doc, 88, break_long_words=False, break_on_hyphens=False)
