"""Sessions as replies have them: one in a list, and everything about one. Each function works on a connection inside a
transaction of the caller's."""

from __future__ import annotations

import sqlite3
from typing import Any

from llmspell_kernel.services.sessions import artifacts, rows, steps
from llmspell_kernel.times import time_text
from llmspell_protocol.areas.session import SessionDetails, SessionSummary


def known(connection: sqlite3.Connection, key_id: str, id: str) -> rows.Row:
    """The session of an id that was there a moment ago."""
    found = rows.by_id(connection, key_id, id)
    return rows.the_one([] if found is None else [found], id)


def summary(connection: sqlite3.Connection, row: rows.Row) -> SessionSummary:
    return SessionSummary(**_summary_fields(connection, row, steps.totals(connection, row.id)[0]))


def _summary_fields(connection: sqlite3.Connection, row: rows.Row, count: int) -> dict[str, Any]:
    return {
        "id": row.id,
        "name": row.name,
        "kind": row.kind,
        "status": row.status,
        "created_at": time_text(row.created_at),
        "last_activity": time_text(row.last_activity),
        "steps": count,
        "artifacts": artifacts.count(connection, row.id),
        "tags": list(row.tags),
    }


def details(connection: sqlite3.Connection, row: rows.Row, place: str) -> SessionDetails:
    count, prompt_tokens, completion_tokens = steps.totals(connection, row.id)
    return SessionDetails(
        **_summary_fields(connection, row, count),
        description=row.description,
        parent_session_id=row.parent_session_id,
        metadata=row.metadata,
        place=place,
        size_bytes=row.steps_bytes + artifacts.stored_bytes(connection, row.id),
        prompt_tokens=prompt_tokens,
        completion_tokens=completion_tokens,
        dropped=row.dropped,
    )
