"""Rows of sessions: made, found by what people write, changed, and ended when there are too many.

Each function works on a connection inside a transaction of the caller's. Knows no requests.
"""

from __future__ import annotations

import json
import re
import sqlite3
import time
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from llmspell_kernel.times import time_text
from llmspell_protocol.errors import InvalidRequest, SessionNotFound

_START_OF_AN_ID = re.compile(r"[0-9a-f]{4}[0-9a-f-]{0,32}", re.IGNORECASE)
_NAMED = 5
"""So many sessions of one name are listed in an error."""


class Limits(NamedTuple):
    """How much of the sessions of one key is kept: 0 is no limit."""

    sessions: int
    age_s: float
    bytes: int
    idle_s: float
    """after which an active session is suspended"""


class Row(NamedTuple):
    """A session as it is kept; times are seconds since 1970."""

    id: str
    key_id: str
    name: str
    description: str
    kind: str
    status: str
    tags: Sequence[str]
    metadata: Mapping[str, Any]
    parent_session_id: str | None
    created_at: float
    last_activity: float
    dropped: int
    steps_bytes: int


_COLUMNS = ", ".join(Row._fields)


def new_id() -> str:
    """The id of a session."""
    return str(uuid.uuid4())


def insert(
    connection: sqlite3.Connection,
    *,
    id: str,
    key_id: str,
    name: str,
    kind: str,
    description: str = "",
    tags: Sequence[str] = (),
    metadata: Mapping[str, Any] | None = None,
    parent: str | None = None,
) -> None:
    """A new, active session."""
    now = time.time()
    connection.execute(
        "INSERT INTO sessions (id, key_id, name, kind, description, tags, metadata, parent_session_id, status,"
        " created_at, last_activity) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'active', ?, ?)",
        (id, key_id, name, kind, description, json.dumps(list(tags)), json.dumps(metadata or {}), parent, now, now),
    )


def by_id(connection: sqlite3.Connection, key_id: str, id: str) -> Row | None:
    """The session of exactly this id."""
    return _one(connection, "key_id = ? AND id = ?", (key_id, id))


def newest_named(connection: sqlite3.Connection, key_id: str, name: str) -> Row | None:
    """The session of this name that was used last."""
    return _one(connection, "key_id = ? AND name = ? ORDER BY last_activity DESC", (key_id, name))


def candidates(connection: sqlite3.Connection, key_id: str, wanted: str) -> list[Row]:
    """What a person may mean: the session of this id, else those of this name, else those whose id begins so."""
    if (exact := by_id(connection, key_id, wanted.lower())) is not None:
        return [exact]
    found = _all(connection, "key_id = ? AND name = ? ORDER BY last_activity DESC", (key_id, wanted))
    if found or not _START_OF_AN_ID.fullmatch(wanted):
        return found
    pattern = f"{wanted.lower()}%"
    return _all(connection, "key_id = ? AND id LIKE ? ORDER BY last_activity DESC", (key_id, pattern))


def the_one(found: Sequence[Row], wanted: str) -> Row:
    """The only candidate.

    Raises:
        SessionNotFound: there is none.
        InvalidRequest: there are several.
    """
    if not found:
        raise SessionNotFound(
            f"session '{wanted[:80]}' not found", hint="llmspell session list shows them", details={"session": wanted}
        )
    if len(found) > 1:
        listed = ", ".join(f"{one.id[:8]} ({time_text(one.last_activity)[:16]})" for one in found[:_NAMED])
        more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
        raise InvalidRequest(
            f"'{wanted[:80]}' means {len(found)} sessions: {listed}{more}",
            hint="name one by the beginning of its id",
            details={"session": wanted, "ids": [one.id for one in found]},
        )
    return found[0]


def listed(connection: sqlite3.Connection, key_id: str) -> list[Row]:
    """All sessions of a key, the last used first."""
    return _all(connection, "key_id = ? ORDER BY last_activity DESC, rowid DESC", (key_id,))


def set_status(connection: sqlite3.Connection, id: str, status: str) -> None:
    """Changes the status; a change is no use, so that the order of use stays."""
    connection.execute("UPDATE sessions SET status = ? WHERE id = ?", (status, id))


def touch(connection: sqlite3.Connection, id: str, *, size: int = 0) -> bool:
    """The session is used now, and active; its steps take `size` bytes more. Whether there is one."""
    changed = connection.execute(
        "UPDATE sessions SET last_activity = ?, status = 'active', steps_bytes = steps_bytes + ? WHERE id = ?",
        (time.time(), size, id),
    )
    return changed.rowcount > 0


def delete(connection: sqlite3.Connection, id: str) -> None:
    """A session with its steps and artifacts, and the contents that nothing else has."""
    connection.execute("DELETE FROM sessions WHERE id = ?", (id,))


_INCREMENTAL = 2
"""What `PRAGMA auto_vacuum` says of a file that can become smaller."""
_MERGES = 8
_MERGED_PAGES = 250
_FREED_PAGES = 25_000
"""At once, so that nothing waits long for it; what is left is used again, or freed the next time."""


def free_pages(connection: sqlite3.Connection) -> None:
    """Gives back what was deleted: of the words of steps, which are only marked at first, and of the file."""
    for _ in range(_MERGES):
        before = connection.total_changes
        connection.execute("INSERT INTO texts (texts, rank) VALUES ('merge', ?)", (-_MERGED_PAGES,))
        if connection.total_changes - before < 2:  # As FTS5 says that there is nothing to be merged.
            break
    if connection.execute("PRAGMA auto_vacuum").fetchone()[0] != _INCREMENTAL:
        return  # In memory, or made by an earlier version: what is free is used again.
    (free,) = connection.execute("PRAGMA freelist_count").fetchone()
    for _ in range(min(free, _FREED_PAGES)):
        # Python takes one step of it, which frees one page.
        connection.execute("PRAGMA incremental_vacuum(1)")


def suspend_idle(connection: sqlite3.Connection, limits: Limits) -> None:
    """What was not used for long is suspended."""
    connection.execute(
        "UPDATE sessions SET status = 'suspended' WHERE status = 'active' AND last_activity < ?",
        (time.time() - limits.idle_s,),
    )


def retain(connection: sqlite3.Connection, limits: Limits, *, key_id: str, keep: str) -> list[str]:
    """Ends sessions that are too old, and those of a key that are too many or too large together, the longest unused
    first; never `keep`, and no active one. Their ids.

    What the clients of one key do ends nothing of another's.
    """
    suspend_idle(connection, limits)
    gone: list[str] = []

    def end(id: str) -> None:
        delete(connection, id)
        gone.append(id)

    may_go = "status != 'active' AND id != ?"
    if limits.age_s:
        old = f"SELECT id FROM sessions WHERE {may_go} AND last_activity < ?"
        for (id,) in connection.execute(old, (keep, time.time() - limits.age_s)).fetchall():
            end(id)
    by_use = f"SELECT id FROM sessions WHERE {may_go} AND key_id = ? ORDER BY last_activity"
    if limits.sessions:
        (count,) = connection.execute("SELECT count(*) FROM sessions WHERE key_id = ?", (key_id,)).fetchone()
        for (id,) in connection.execute(by_use, (keep, key_id)).fetchall()[: max(0, count - limits.sessions)]:
            end(id)
    if limits.bytes:
        for (id,) in connection.execute(by_use, (keep, key_id)).fetchall():
            if used_bytes(connection, key_id) <= limits.bytes:
                break
            end(id)
    if gone:
        free_pages(connection)
    return gone


def used_bytes(connection: sqlite3.Connection, key_id: str) -> int:
    """What steps, the words to find them by and artifacts of a key's sessions take, compressed as they are; a content
    that another key has too is counted for both."""
    (steps,) = connection.execute(
        "SELECT coalesce(sum(steps_bytes), 0) FROM sessions WHERE key_id = ?", (key_id,)
    ).fetchone()
    (contents,) = connection.execute(
        "SELECT coalesce(sum(stored_bytes), 0) FROM contents WHERE hash IN (SELECT hash FROM artifacts"
        " JOIN sessions ON sessions.id = artifacts.session_id WHERE sessions.key_id = ?)",
        (key_id,),
    ).fetchone()
    return int(steps + contents)


def _one(connection: sqlite3.Connection, where: str, values: Sequence[Any]) -> Row | None:
    row = connection.execute(f"SELECT {_COLUMNS} FROM sessions WHERE {where} LIMIT 1", values).fetchone()
    return None if row is None else _row(row)


def _all(connection: sqlite3.Connection, where: str, values: Sequence[Any]) -> list[Row]:
    return [_row(row) for row in connection.execute(f"SELECT {_COLUMNS} FROM sessions WHERE {where}", values)]


def _row(columns: Sequence[Any]) -> Row:
    row = Row(*columns)
    return row._replace(tags=json.loads(str(row.tags)), metadata=json.loads(str(row.metadata)))
