"""Entries of the queue, written as rows of sessions and steps in the order in which they came.

Each function works on a connection inside a transaction of the caller's.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from llmspell_kernel.services.sessions import rows
from llmspell_kernel.services.sessions.finding import index_bytes, kept_words
from llmspell_kernel.services.sessions.packing import packed, unpacked
from llmspell_kernel.services.sessions.reading import Read, read
from llmspell_kernel.services.sessions.records import (
    Begun,
    Closed,
    Dropped,
    Ended,
    Entry,
    Opened,
    Rested,
    Target,
)
from llmspell_kernel.services.sessions.steps import clean
from llmspell_profiles.credentials.redaction import Redactor
from llmspell_protocol.request_options import LONGEST_SESSION


def write(connection: sqlite3.Connection, batch: Sequence[Entry], redactor: Redactor, limits: rows.Limits) -> None:
    """Writes what has come, in its order, without the secrets in it."""
    for entry in batch:
        match entry:
            case Opened(target):
                _open(connection, target, redactor, limits)
            case Begun():
                _begin(connection, entry, redactor, limits)
            case Ended():
                _end(connection, entry, redactor)
            case Closed(target):
                _close(connection, target)
            case Rested(target):
                _rest(connection, target)
            case Dropped(target, count):
                if (id := _session(connection, target, redactor, limits)) is not None:
                    connection.execute("UPDATE sessions SET dropped = dropped + ? WHERE id = ?", (count, id))


def _open(connection: sqlite3.Connection, target: Target, redactor: Redactor, limits: rows.Limits) -> str:
    id = target.id or rows.new_id()
    name = clean(redactor.text(target.name or target.ref or ""))[:LONGEST_SESSION] or id[:8]
    rows.insert(connection, id=id, key_id=target.key_id, name=name, kind=target.kind)
    rows.retain(connection, limits, key_id=target.key_id, keep=id)
    return id


def _session(connection: sqlite3.Connection, target: Target, redactor: Redactor, limits: rows.Limits) -> str | None:
    """The id of the session that is meant, which is made where a name alone was given; None: it is gone."""
    if target.id is not None:
        found = rows.by_id(connection, target.key_id, target.id)
        return None if found is None else found.id
    wanted = target.ref or ""
    means = rows.candidates(connection, target.key_id, wanted)
    # Of several with one name the last used goes on; the beginnings of several ids are no id.
    if means and (len(means) == 1 or means[0].name == wanted):
        return means[0].id
    return _open(connection, target, redactor, limits)


def _begin(connection: sqlite3.Connection, entry: Begun, redactor: Redactor, limits: rows.Limits) -> None:
    session = _session(connection, entry.target, redactor, limits)
    if session is None:
        if entry.parent is not None:
            return
        # It was ended for room, or by another process: what a client asks goes on being recorded.
        session = _open(connection, entry.target, redactor, limits)
    content, options = redactor.value(entry.content), redactor.value(entry.options)
    request = packed({"content": content, "options": options})
    row = connection.execute(
        "INSERT INTO steps (id, session_id, parent_id, msg_type, action, status, started_at, request, model)"
        " VALUES (?, ?, ?, ?, ?, 'running', ?, ?, ?)",
        (
            *(entry.step, session, entry.parent, entry.msg_type, entry.action, entry.started_at, request),
            clean(str(content["model"])) if content.get("model") else None,
        ),
    )
    text = kept_words(entry.msg_type, content, options, None)
    connection.execute("INSERT INTO texts (rowid, text, session_id) VALUES (?, ?, ?)", (row.lastrowid, text, session))
    rows.touch(connection, session, size=len(request) + index_bytes(text))


def _end(connection: sqlite3.Connection, entry: Ended, redactor: Redactor) -> None:
    found = connection.execute(
        "SELECT number, session_id, msg_type, request FROM steps WHERE id = ?", (entry.step,)
    ).fetchone()
    if found is None:
        return
    number, session, msg_type, request = found
    asked = unpacked(request)
    reply = redactor.value({**entry.content, **({"printed": dict(entry.printed)} if entry.printed else {})})
    data = packed(
        {
            "content": reply,
            **({"buffers": [redactor.data(bytes(one)) for one in entry.buffers]} if entry.buffers else {}),
        }
    )
    seen = read(msg_type, asked["content"], asked["options"], reply)
    status = "error" if seen.error is not None else "ok"
    connection.execute(
        "UPDATE steps SET status = ?, duration_ms = ?, reply = ?, model = coalesce(?, model), prompt_tokens = ?,"
        " completion_tokens = ? WHERE number = ?",
        (
            *(status, round(entry.duration_ms, 3), data, clean(seen.model) if seen.model else None),
            *((None, None) if _is_told_below(connection, entry.step, msg_type) else _tokens(seen)),
            number,
        ),
    )
    before = kept_words(msg_type, asked["content"], asked["options"], None)
    text = kept_words(msg_type, asked["content"], asked["options"], reply)
    connection.execute("UPDATE texts SET text = ? WHERE rowid = ?", (text, number))
    rows.touch(connection, session, size=len(data) + index_bytes(text) - index_bytes(before))


def _tokens(seen: Read) -> tuple[int | None, int | None]:
    return seen.prompt_tokens, seen.completion_tokens


def _is_told_below(connection: sqlite3.Connection, step: str, msg_type: str) -> bool:
    """Whether a step's tokens are those of the steps below it: an agent's turn is its model's replies together."""
    if msg_type != "agent_request":
        return False
    found = connection.execute(
        "SELECT 1 FROM steps WHERE parent_id = ? AND msg_type IN ('model_request', 'agent_request')"
        " AND prompt_tokens IS NOT NULL LIMIT 1",
        (step,),
    )
    return found.fetchone() is not None


def _close(connection: sqlite3.Connection, target: Target) -> None:
    if target.id is None or rows.by_id(connection, target.key_id, target.id) is None:
        return
    last = connection.execute(
        "SELECT status FROM steps WHERE session_id = ? AND parent_id IS NULL ORDER BY number DESC LIMIT 1",
        (target.id,),
    ).fetchone()
    connection.execute(
        "UPDATE sessions SET status = ? WHERE id = ? AND status IN ('active', 'suspended')",
        ("failed" if last is not None and last[0] == "error" else "completed", target.id),
    )


def _rest(connection: sqlite3.Connection, target: Target) -> None:
    means = rows.candidates(connection, target.key_id, target.ref or "")
    if means and means[0].status == "active":
        rows.set_status(connection, means[0].id, "suspended")
