"""Rows of the history, written and found. Each function works on a connection inside a transaction of the caller's."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import NamedTuple

MOST_CHARACTERS = 8 << 20
"""Of one answer; the newest cells are in it."""


class Row(NamedTuple):
    """A cell: its session and line, what was run, and what it gave as text, None where it gave nothing."""

    session: int
    line: int
    code: str
    output: str | None


def new_session(connection: sqlite3.Connection, at: float) -> int:
    """The number of a session that no other has, whatever kernel made it."""
    number = connection.execute("INSERT INTO sessions (started_at) VALUES (?)", (at,)).lastrowid
    assert number is not None
    return number


def insert(connection: sqlite3.Connection, row: Row, key_id: str, at: float) -> None:
    """Adds a cell."""
    connection.execute(
        "INSERT INTO cells (session, line, key_id, code, output, at) VALUES (?, ?, ?, ?, ?, ?)",
        (row.session, row.line, key_id, row.code, row.output, at),
    )


def set_output(connection: sqlite3.Connection, session: int, line: int, output: str) -> None:
    """What a cell gave that was added before."""
    connection.execute("UPDATE cells SET output = ? WHERE session = ? AND line = ?", (output, session, line))


def retain(connection: sqlite3.Connection, key_id: str, most: int) -> None:
    """Ends the oldest cells of a key that has more than `most`."""
    connection.execute(
        "DELETE FROM cells WHERE key_id = ? AND number <= ("
        " SELECT number FROM cells WHERE key_id = ? ORDER BY number DESC LIMIT 1 OFFSET ?)",
        (key_id, key_id, most),
    )


def last(connection: sqlite3.Connection, key_id: str, most: int) -> list[Row]:
    """The last cells of a key, the oldest first."""
    return _newest(connection.execute(f"{_ROWS} WHERE key_id = ? ORDER BY number DESC LIMIT ?", (key_id, most)))


def lines(connection: sqlite3.Connection, key_id: str, session: int, start: int, stop: int | None) -> list[Row]:
    """The cells of one session from line `start` to before `stop`; a start below 0 counts from the end."""
    if start < 0:
        of_it = "SELECT max(line) FROM cells WHERE key_id = ? AND session = ?"
        (highest,) = connection.execute(of_it, (key_id, session)).fetchone()
        start += (highest or 0) + 1
    bound = _LAST_LINE if stop is None else stop
    where = f"{_ROWS} WHERE key_id = ? AND session = ? AND line >= ? AND line < ? ORDER BY line DESC"
    return _newest(connection.execute(where, (key_id, session, start, bound)))


def session_before(connection: sqlite3.Connection, key_id: str, session: int | None, back: int) -> int | None:
    """The session of the key that many before this one (None: before one that has no cell so far)."""
    row = connection.execute(
        "SELECT DISTINCT session FROM cells WHERE key_id = ? AND session < ? ORDER BY session DESC LIMIT 1 OFFSET ?",
        (key_id, _LAST_LINE if session is None else session, back - 1),
    ).fetchone()
    return None if row is None else int(row[0])


def matching(connection: sqlite3.Connection, key_id: str, pattern: str, most: int, *, unique: bool) -> list[Row]:
    """The last cells that a pattern fits from end to end (`*`: any characters, `?`: one), the oldest first.

    With `unique` of those with the same code the last one.
    """
    of_code = " GROUP BY code HAVING number = max(number)" if unique else ""
    found = connection.execute(
        f"{_ROWS} WHERE key_id = ? AND code GLOB ?{of_code} ORDER BY number DESC LIMIT ?",
        (key_id, pattern.replace("[", "[[]"), most),
    )
    return _newest(found)


_ROWS = "SELECT session, line, code, output FROM cells"
_LAST_LINE = (1 << 63) - 1


def _newest(found: Iterable[Sequence[object]]) -> list[Row]:
    """Turns rows around that come newest first, as far as an answer holds them."""
    rows: list[Row] = []
    left = MOST_CHARACTERS
    for session, line, code, output in found:
        row = Row(int(str(session)), int(str(line)), str(code), None if output is None else str(output))
        left -= len(row.code) + len(row.output or "")
        if left < 0:
            break
        rows.append(row)
    rows.reverse()
    return rows
