"""Entries in the table: read, written, listed and removed. Blocks; what it is given is inside a transaction.

Times are milliseconds of the machine's clock. An entry is expired from `expires_ms` on: it counts as absent.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from llmspell_kernel.services.state.places import Place

PAGE_ROWS = 1000
PAGE_CHARACTERS = 4 * 1024 * 1024
"""Of the values of one page; a single value may have more."""
SWEPT_AT_ONCE = 100
"""Expired entries that one write removes besides its own work."""


class Row(NamedTuple):
    """One entry; `text` is its value's form as JSON."""

    scope: str
    key: str
    text: str
    version: int
    changed_ms: int
    expires_ms: int | None

    def is_expired(self, now_ms: int) -> bool:
        """Whether its time has come."""
        return self.expires_ms is not None and self.expires_ms <= now_ms


class Selection(NamedTuple):
    """Entries of one client, of the scopes from one name to another, for some such ranges."""

    key_id: str
    ranges: Sequence[tuple[str, str]]

    def where(self) -> tuple[str, tuple[str, ...]]:
        """The condition and its values."""
        any_of = " OR ".join("scope BETWEEN ? AND ?" for _ in self.ranges)
        return f"key_id = ? AND ({any_of})", (self.key_id, *(end for one in self.ranges for end in one))


_COLUMNS = "scope, key, value, version, changed_ms, expires_ms"
_AT = "WHERE key_id = ? AND scope = ? AND key = ?"


def read(connection: sqlite3.Connection, place: Place) -> Row | None:
    """The entry at a place, an expired one too."""
    found = connection.execute(f"SELECT {_COLUMNS} FROM entries {_AT}", place).fetchone()
    return None if found is None else Row(*found)


def page(connection: sqlite3.Connection, wanted: Selection, after: tuple[str, str]) -> tuple[list[Row], bool]:
    """The entries behind a scope and key, as many as a page holds, and whether there are more."""
    condition, values = wanted.where()
    found = connection.execute(
        f"SELECT {_COLUMNS} FROM entries WHERE {condition} AND (scope, key) > (?, ?) ORDER BY scope, key LIMIT ?",
        (*values, *after, PAGE_ROWS + 1),
    )
    rows: list[Row] = []
    characters = 0
    for one in found:
        row = Row(*one)
        characters += len(row.text)
        if rows and (characters > PAGE_CHARACTERS or len(rows) == PAGE_ROWS):
            return rows, True
        rows.append(row)
    return rows, False


def all_of(connection: sqlite3.Connection, key_id: str) -> Iterator[Row]:
    """All entries of a client, by scope and key; expired ones too."""
    query = f"SELECT {_COLUMNS} FROM entries WHERE key_id = ? ORDER BY scope, key"
    return (Row(*found) for found in connection.execute(query, (key_id,)))


def names(connection: sqlite3.Connection, key_id: str, scope: str, after: str, most: int) -> list[Row]:
    """The entries of a scope behind a key, without their values."""
    return [
        Row(*found)
        for found in connection.execute(
            "SELECT scope, key, '', version, changed_ms, expires_ms FROM entries "
            "WHERE key_id = ? AND scope = ? AND key > ? ORDER BY key LIMIT ?",
            (key_id, scope, after, most),
        )
    ]


def scopes(connection: sqlite3.Connection, key_id: str, after: str, now_ms: int, most: int) -> list[str]:
    """The scopes behind a scope that have entries."""
    found = connection.execute(
        "SELECT DISTINCT scope FROM entries WHERE key_id = ? AND scope > ? AND (expires_ms IS NULL OR expires_ms > ?) "
        "ORDER BY scope LIMIT ?",
        (key_id, after, now_ms, most),
    )
    return [scope for (scope,) in found]


def next_version(connection: sqlite3.Connection) -> int:
    """A version that no entry has had."""
    ((last,),) = connection.execute("UPDATE versions SET last = last + 1 RETURNING last").fetchall()
    return int(last)


def write(connection: sqlite3.Connection, place: Place, text: str, now_ms: int, expires_ms: int | None) -> int:
    """Puts an entry in the place of what was there; returns its version."""
    version = next_version(connection)
    connection.execute(
        "INSERT INTO entries (key_id, scope, key, value, version, changed_ms, expires_ms) VALUES (?, ?, ?, ?, ?, ?, ?) "
        "ON CONFLICT DO UPDATE SET value = excluded.value, version = excluded.version, "
        "changed_ms = excluded.changed_ms, expires_ms = excluded.expires_ms",
        (*place, text, version, now_ms, expires_ms),
    )
    return version


def remove(connection: sqlite3.Connection, place: Place) -> None:
    """Removes the entry at a place."""
    connection.execute(f"DELETE FROM entries {_AT}", place)


def clear(connection: sqlite3.Connection, wanted: Selection) -> int:
    """Removes all these entries; returns how many."""
    condition, values = wanted.where()
    return connection.execute(f"DELETE FROM entries WHERE {condition}", values).rowcount


def remove_expired(connection: sqlite3.Connection, key_id: str, rows: Iterable[Row]) -> None:
    """Removes entries that were seen to be expired, unless they have been written since."""
    connection.executemany(
        f"DELETE FROM entries {_AT} AND version = ?", ((key_id, row.scope, row.key, row.version) for row in rows)
    )


def sweep(connection: sqlite3.Connection, now_ms: int) -> int:
    """Removes some of the expired entries; returns how many."""
    return connection.execute(
        "DELETE FROM entries WHERE rowid IN (SELECT rowid FROM entries WHERE expires_ms <= ? LIMIT ?)",
        (now_ms, SWEPT_AT_ONCE),
    ).rowcount
