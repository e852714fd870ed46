"""The tables of `state.db`. Knows SQL, neither values nor callers."""

from __future__ import annotations

from llmspell_storage.schema import Schema

_ENTRIES = """
CREATE TABLE entries (
  key_id TEXT NOT NULL,
  scope TEXT NOT NULL,
  key TEXT NOT NULL,
  value TEXT NOT NULL,
  version INTEGER NOT NULL,
  changed_ms INTEGER NOT NULL,
  expires_ms INTEGER,
  UNIQUE (key_id, scope, key)
) STRICT;
CREATE INDEX entries_that_expire ON entries (expires_ms) WHERE expires_ms IS NOT NULL;
-- No version comes twice, not even in a database that was made anew in the place of another.
CREATE TABLE versions (last INTEGER NOT NULL) STRICT;
INSERT INTO versions VALUES (abs(random() % 1000000000000));
-- The version of what a client keeps (`schemas.py`); those that are lacking have the first one.
CREATE TABLE schema_versions (key_id TEXT PRIMARY KEY, version INTEGER NOT NULL) STRICT;
"""

SCHEMA = Schema("state", "scripts' state", (_ENTRIES,))
