"""The tables of documents, chunks and vectors. A released migration is never changed; a change is a new one.

Words are found through a table of FTS5 for each place, so that what one tenant has says nothing of how rare a word is
in what another has. It keeps no text of its own: the text is the chunk's.
"""

from __future__ import annotations

import sqlite3
import uuid

from llmspell_storage.schema import Schema

_FIRST = """
CREATE TABLE about (database TEXT NOT NULL) STRICT;

CREATE TABLE places (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  owner TEXT NOT NULL,
  tenant TEXT NOT NULL,
  collection TEXT NOT NULL,
  model TEXT NOT NULL,
  dimension INTEGER NOT NULL,
  ttl_s REAL,
  created_at REAL NOT NULL,
  changed_at REAL NOT NULL,
  epoch INTEGER NOT NULL DEFAULT 0,
  generation INTEGER NOT NULL DEFAULT 0,
  stamp TEXT NOT NULL DEFAULT '',
  has_file INTEGER NOT NULL DEFAULT 0,
  documents INTEGER NOT NULL DEFAULT 0,
  chunks INTEGER NOT NULL DEFAULT 0,
  tokens INTEGER NOT NULL DEFAULT 0,
  bytes INTEGER NOT NULL DEFAULT 0,
  UNIQUE (owner, tenant, collection)
) STRICT;

CREATE TABLE documents (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  place INTEGER NOT NULL REFERENCES places (number) ON DELETE CASCADE,
  id TEXT NOT NULL,
  hash TEXT NOT NULL,
  source TEXT,
  title TEXT,
  media_type TEXT,
  metadata TEXT NOT NULL,
  added_at REAL NOT NULL,
  changed_at REAL NOT NULL,
  expires_at REAL,
  first_chunk INTEGER NOT NULL DEFAULT 0,
  chunks INTEGER NOT NULL,
  tokens INTEGER NOT NULL,
  characters INTEGER NOT NULL,
  bytes INTEGER NOT NULL,
  stored_bytes INTEGER NOT NULL,
  UNIQUE (place, id)
) STRICT;
CREATE INDEX documents_by_source ON documents (place, source) WHERE source IS NOT NULL;
CREATE INDEX documents_by_end ON documents (place, expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE facts (
  place INTEGER NOT NULL,
  key TEXT NOT NULL,
  value TEXT NOT NULL,
  document INTEGER NOT NULL REFERENCES documents (number) ON DELETE CASCADE,
  PRIMARY KEY (place, key, value, document)
) STRICT, WITHOUT ROWID;
CREATE INDEX facts_of_a_document ON facts (document);

CREATE TABLE chunks (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  place INTEGER NOT NULL,
  document INTEGER NOT NULL REFERENCES documents (number) ON DELETE CASCADE,
  ordinal INTEGER NOT NULL,
  text TEXT NOT NULL,
  first INTEGER NOT NULL,
  last INTEGER NOT NULL,
  tokens INTEGER NOT NULL,
  page INTEGER,
  line INTEGER,
  section TEXT
) STRICT;
CREATE UNIQUE INDEX chunks_of_a_document ON chunks (document, ordinal);
CREATE INDEX chunks_of_a_place ON chunks (place, number);

CREATE TABLE vectors (
  chunk INTEGER PRIMARY KEY REFERENCES chunks (number) ON DELETE CASCADE,
  vector BLOB NOT NULL
) STRICT;

CREATE TABLE changes (
  place INTEGER NOT NULL REFERENCES places (number) ON DELETE CASCADE,
  generation INTEGER NOT NULL,
  stamp TEXT NOT NULL,
  removed BLOB NOT NULL,
  PRIMARY KEY (place, generation)
) STRICT, WITHOUT ROWID;

CREATE TABLE replacements (
  place INTEGER PRIMARY KEY REFERENCES places (number) ON DELETE CASCADE,
  model TEXT NOT NULL,
  dimension INTEGER NOT NULL
) STRICT;
CREATE TABLE new_vectors (
  chunk INTEGER PRIMARY KEY REFERENCES chunks (number) ON DELETE CASCADE,
  place INTEGER NOT NULL REFERENCES replacements (place) ON DELETE CASCADE,
  vector BLOB NOT NULL
) STRICT;
CREATE INDEX new_vectors_of_a_place ON new_vectors (place);

CREATE TABLE embeddings (
  owner TEXT NOT NULL,
  tenant TEXT NOT NULL,
  model TEXT NOT NULL,
  dimension INTEGER NOT NULL,
  hash TEXT NOT NULL,
  vector BLOB NOT NULL,
  used_at REAL NOT NULL,
  PRIMARY KEY (owner, tenant, model, dimension, hash)
) STRICT;
CREATE INDEX embeddings_by_use ON embeddings (used_at);
"""


def _name_it(connection: sqlite3.Connection) -> None:
    """Index files say which database they are of: another one in its place has vectors of its own."""
    connection.execute("INSERT INTO about VALUES (?)", (uuid.uuid4().hex,))


SCHEMA = Schema("rag", "the documents that RAG finds passages in", (_FIRST, _name_it))


def words_table(place: int) -> str:
    """The name of a place's table of words."""
    return f"words_{place:d}"


def make_words(connection: sqlite3.Connection, place: int) -> None:
    """Makes the table of words of a new place: of each chunk its text, and its title and section."""
    table = words_table(place)
    connection.execute(
        f"CREATE VIRTUAL TABLE {table} USING"
        " fts5 (text, about, content = '', tokenize = 'unicode61 remove_diacritics 2')"
    )
    connection.execute(f"INSERT INTO {table} ({table}, rank) VALUES ('rank', 'bm25(1.0, 0.5)')")
