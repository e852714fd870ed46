"""The tables of the history. A released migration is never changed; a change is a new one."""

from __future__ import annotations

from llmspell_storage.schema import Schema

_FIRST = """
CREATE TABLE sessions (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  started_at REAL NOT NULL
) STRICT;

CREATE TABLE cells (
  number INTEGER PRIMARY KEY,
  session INTEGER NOT NULL,
  line INTEGER NOT NULL,
  key_id TEXT NOT NULL,
  code TEXT NOT NULL,
  output TEXT,
  at REAL NOT NULL
) STRICT;
CREATE INDEX cells_of_a_key ON cells (key_id, number);
CREATE INDEX cells_of_a_session ON cells (session, line);
"""

SCHEMA = Schema("history", "the history of cells", (_FIRST,))
