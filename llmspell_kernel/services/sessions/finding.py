"""Steps by their words: what is kept of a step for the search, and what is found.

Each function works on a connection inside a transaction of the caller's, or on none.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

from llmspell_kernel.services.sessions.packing import unpacked
from llmspell_kernel.services.sessions.reading import found_by
from llmspell_kernel.services.sessions.steps import clean, map_in
from llmspell_storage.words import excerpt, query, searchable

LONGEST_TEXT = 10_000
"""Characters of a question, and of an answer, that can be searched in."""
_INDEX = 2
"""What words take of the file, to their bytes: with what they are found by it was 1.7 to 2.5."""


def search(
    connection: sqlite3.Connection, key_id: str, words: Sequence[str], limit: int
) -> list[tuple[str, str, str, float, str]]:
    """Session, its name, the step's id, when, and the text around the words: steps in which all of them stand."""
    found = connection.execute(
        "SELECT sessions.id, sessions.name, steps.id, steps.started_at, msg_type, request, reply"
        " FROM texts JOIN steps ON steps.number = texts.rowid JOIN sessions ON sessions.id = steps.session_id"
        " WHERE texts MATCH ? AND sessions.key_id = ? ORDER BY bm25(texts), steps.number DESC LIMIT ?",
        (query(words), key_id, limit),
    )
    return [(*about, excerpt(_text(msg_type, request, reply), words)) for *about, msg_type, request, reply in found]


def _text(msg_type: str, request: bytes, reply: bytes | None) -> str:
    """What a step can be found by, as it was written; empty where it can't be read."""
    try:
        asked = unpacked(request)
        answer = None if reply is None else map_in(unpacked(reply), "content")
        return _joined(*found_by(msg_type, map_in(asked, "content"), map_in(asked, "options"), answer))
    except ValueError:
        return ""


def kept_words(
    msg_type: str, content: Mapping[str, Any], options: Mapping[str, Any], reply: Mapping[str, Any] | None
) -> str:
    """The words that a step is found by, as the index has them; `reply` None: it has none yet."""
    return searchable(_joined(*found_by(msg_type, content, options, reply)))


def _joined(*texts: str | None) -> str:
    return clean("\n".join(text[:LONGEST_TEXT] for text in texts if text))


def index_bytes(text: str) -> int:
    """About what such words take of the file."""
    return _INDEX * len(text.encode())
