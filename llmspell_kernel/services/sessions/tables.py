"""The tables of sessions, steps and artifacts. A released migration is never changed; a change is a new one."""

from __future__ import annotations

import sqlite3

from llmspell_storage.schema import Schema
from llmspell_storage.words import searchable

_FIRST = """
CREATE TABLE sessions (
  id TEXT PRIMARY KEY,
  key_id TEXT NOT NULL,
  name TEXT NOT NULL,
  description TEXT NOT NULL DEFAULT '',
  kind TEXT NOT NULL,
  status TEXT NOT NULL,
  tags TEXT NOT NULL DEFAULT '[]',
  metadata TEXT NOT NULL DEFAULT '{}',
  parent_session_id TEXT,
  created_at REAL NOT NULL,
  last_activity REAL NOT NULL,
  dropped INTEGER NOT NULL DEFAULT 0,
  steps_bytes INTEGER NOT NULL DEFAULT 0,
  last_sequence INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX sessions_by_name ON sessions (key_id, name);

CREATE TABLE steps (
  number INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  session_id TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
  parent_id TEXT,
  msg_type TEXT NOT NULL,
  action TEXT NOT NULL,
  status TEXT NOT NULL,
  started_at REAL NOT NULL,
  duration_ms REAL,
  request BLOB NOT NULL,
  reply BLOB,
  model TEXT,
  prompt_tokens INTEGER,
  completion_tokens INTEGER
) STRICT;
CREATE INDEX steps_of_a_session ON steps (session_id, parent_id);

CREATE VIRTUAL TABLE texts USING fts5 (text, session_id UNINDEXED, tokenize = 'unicode61 remove_diacritics 2');

CREATE TABLE contents (
  hash TEXT PRIMARY KEY,
  data BLOB NOT NULL,
  size INTEGER NOT NULL,
  stored_bytes INTEGER NOT NULL,
  is_compressed INTEGER NOT NULL
) STRICT;

CREATE TABLE artifacts (
  session_id TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
  sequence INTEGER NOT NULL,
  hash TEXT NOT NULL REFERENCES contents (hash),
  type TEXT NOT NULL,
  name TEXT NOT NULL,
  description TEXT NOT NULL,
  mime_type TEXT NOT NULL,
  tags TEXT NOT NULL,
  custom TEXT NOT NULL,
  version INTEGER NOT NULL,
  created_at REAL NOT NULL,
  created_by TEXT NOT NULL,
  parent_artifact TEXT,
  PRIMARY KEY (session_id, sequence)
) STRICT;
CREATE INDEX artifacts_of_a_content ON artifacts (hash);

CREATE TRIGGER texts_end_with_their_step AFTER DELETE ON steps BEGIN
  DELETE FROM texts WHERE rowid = OLD.number;
END;
CREATE TRIGGER contents_end_with_their_last_artifact AFTER DELETE ON artifacts
WHEN NOT EXISTS (SELECT 1 FROM artifacts WHERE hash = OLD.hash) BEGIN
  DELETE FROM contents WHERE hash = OLD.hash;
END;
"""


def _fold_texts(connection: sqlite3.Connection) -> None:
    """Words are kept as they are searched for: `ß` as `ss`, of Chinese, Japanese and Korean the pairs of characters."""
    # Of what has ASCII alone nothing changes; read one by one, since all may be more than fits into memory.
    numbers = [one for (one,) in connection.execute("SELECT rowid FROM texts WHERE text GLOB '*[^ -~]*'")]
    for number in numbers:
        (text,) = connection.execute("SELECT text FROM texts WHERE rowid = ?", (number,)).fetchone()
        connection.execute("UPDATE texts SET text = ? WHERE rowid = ?", (searchable(text), number))


SCHEMA = Schema("sessions", "the sessions", (_FIRST, _fold_texts))
