"""Entries in the table: read, written, listed and removed. Blocks; what it is given is inside a transaction.

Times are milliseconds of the machine's clock. An entry is expired from `expires_ms` on: it counts as absent.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import NamedTuple

from llmspell_kernel.services.state.places import Place

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


_COLUMNS = "scope, key, value, version, changed_ms, expires_ms"
_AT = "WHERE key_id = ? AND scope = ? AND key = ?"


def read(connection: sqlite3.Connection, place: Place) -> Row | None:
    """The entry at a place, an expired one too."""
    found = connection.execute(f"SELECT {_COLUMNS} FROM entries {_AT}", place).fetchone()
    return None if found is None else Row(*found)


def names(connection: sqlite3.Connection, key_id: str, scope: str) -> list[Row]:
    """The entries of a scope by key, without their values."""
    query = "SELECT scope, key, '', version, changed_ms, expires_ms FROM entries WHERE key_id = ? AND scope = ?"
    return [Row(*found) for found in connection.execute(f"{query} ORDER BY key", (key_id, scope))]


def next_version(connection: sqlite3.Connection) -> int:
    """A version that no entry has had."""
    connection.execute("UPDATE versions SET last = last + 1")
    return int(connection.execute("SELECT last FROM versions").fetchone()[0])


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
