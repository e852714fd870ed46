"""The database of a worker: one connection that writes and one for each thread that reads, and their transactions.

Blocks. A database in memory has one connection; its caller reads with it on the thread that writes.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from llmspell_protocol.errors import Cancelled
from llmspell_protocol.rag.settings import IndexSettings
from llmspell_rag.collections.tables import SCHEMA
from llmspell_storage import transactions
from llmspell_storage.failures import told
from llmspell_storage.opening import opened

_CACHE_KIB = 16 << 10
"""What each reading connection keeps of the database: passages of a search lie anywhere in it."""
_STEPS = 20_000
"""So many steps of SQLite's machine pass before it is asked whether it is to end: a few milliseconds."""

GoOn = Callable[[], bool]
"""Whether a call is still wanted."""

_STAGED = """
CREATE TEMP TABLE staged (
  write INTEGER NOT NULL,
  ordinal INTEGER NOT NULL,
  text TEXT NOT NULL,
  first INTEGER NOT NULL,
  last INTEGER NOT NULL,
  tokens INTEGER NOT NULL,
  page INTEGER,
  line INTEGER,
  section TEXT,
  words TEXT NOT NULL,
  about TEXT NOT NULL,
  vector BLOB NOT NULL,
  PRIMARY KEY (write, ordinal)
) WITHOUT ROWID
"""


class Store:
    """The database in a file, or in memory (`path` None)."""

    def __init__(self, path: Path | None, settings: IndexSettings) -> None:
        """Opens it, makes or migrates it.

        Raises:
            StorageError, StorageVersion, StorageDamaged, DiskFull, Busy: it can't be used.
        """
        self.path = path
        self.settings = settings
        self._writer = opened(SCHEMA, path)
        self._readers = threading.local()
        self._wanted = threading.local()
        """of each thread, whether what it reads for is still wanted"""
        self._all_readers: list[sqlite3.Connection] = []
        with self.telling():
            if path is None:
                self._writer.execute("PRAGMA temp_store = MEMORY")
            self._writer.execute(_STAGED)
            self.database = str(self._writer.execute("SELECT database FROM about").fetchone()[0])

    @property
    def connection(self) -> sqlite3.Connection:
        """The connection of the thread that writes, outside of a transaction: for what is its own alone."""
        return self._writer

    @contextmanager
    def telling(self) -> Iterator[None]:
        """SQLite's errors as ours."""
        with told(SCHEMA, self.path):
            yield

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction that is there as a whole or not at all; on the thread that writes."""
        with self.telling(), transactions.writing(self._writer):
            yield self._writer

    @contextmanager
    def reading(self, go_on: GoOn | None = None) -> Iterator[sqlite3.Connection]:
        """One moment of the database.

        Raises:
            Cancelled: `go_on` says so in the middle of a query.
        """
        connection = self._reader()
        self._wanted.go_on = go_on
        try:
            with self.telling(), transactions.reading(connection):
                yield connection
        except sqlite3.OperationalError as error:
            if getattr(error, "sqlite_errorname", "") != "SQLITE_INTERRUPT":
                raise
            raise Cancelled("it was cancelled") from None
        finally:
            self._wanted.go_on = None

    def shrink(self) -> None:
        """Gives back to the disk what is free in the database, as far as no other process reads."""
        if self.path is None:
            return
        with self.telling():
            # It gives a row without columns for each page, after the first of which `execute` would leave it.
            transactions.in_turn(self._writer, lambda: self._writer.executescript("PRAGMA incremental_vacuum"))
            self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def used_bytes(self) -> int:
        """What the database needs of the disk, or of memory: its pages but those that are free, without its log."""
        pages, free, size = (
            self._writer.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("page_count", "freelist_count", "page_size")
        )
        return int((pages - free) * size)

    def close(self) -> None:
        """Closes all connections; no thread may use one any more."""
        for connection in (*self._all_readers, self._writer):
            connection.close()

    def _is_to_end(self) -> bool:
        go_on: GoOn | None = getattr(self._wanted, "go_on", None)
        return go_on is not None and not go_on()

    def _reader(self) -> sqlite3.Connection:
        if self.path is None:
            return self._writer
        connection: sqlite3.Connection | None = getattr(self._readers, "connection", None)
        if connection is None:
            connection = self._readers.connection = opened(SCHEMA, self.path)
            # Once for all calls: setting it takes longer than a small query.
            connection.set_progress_handler(self._is_to_end, _STEPS)
            connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
            self._all_readers.append(connection)
        return connection
