"""The tables of `workflows.db`. Knows SQL, neither workflows nor steps."""

from __future__ import annotations

from llmspell_storage.schema import Schema

FILE = "workflows.db"
"""Below the home."""

_EXECUTIONS = """
CREATE TABLE executions (
  id TEXT PRIMARY KEY,
  key_id TEXT NOT NULL,
  name TEXT NOT NULL,
  definition TEXT NOT NULL,
  has_functions INTEGER NOT NULL,
  input TEXT NOT NULL,
  shared TEXT NOT NULL,
  started_ms INTEGER NOT NULL,
  changed_ms INTEGER NOT NULL
) STRICT;
CREATE TABLE done (
  execution_id TEXT NOT NULL REFERENCES executions (id) ON DELETE CASCADE,
  kind TEXT NOT NULL,
  path TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (execution_id, kind, path)
) STRICT;
"""

SCHEMA = Schema("workflows", "checkpoints of workflows", (_EXECUTIONS,))
