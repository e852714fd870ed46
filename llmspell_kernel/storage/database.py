"""One database for a service: reads and writes as awaitables, each on a thread, none on the loop. Knows no tables.

`await database.write(work)` calls `work(connection)` in a transaction that is there as a whole or not at all; `read`
calls it with a view of one moment. One thread writes, so that writes happen in the order in which they were asked for.
A database in memory behaves the same, and is gone with the kernel.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from llmspell_protocol.errors import StorageError
from llmspell_storage.failures import told
from llmspell_storage.opening import opened, write_copy
from llmspell_storage.schema import Schema
from llmspell_storage.transactions import reading, writing

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]

READERS = 2

log = logging.getLogger(__name__)


class Database:
    """The database of `schema` in the file `path`, or in memory where that is None; opened by the first use of it.

    Belongs to the loop; `work` runs on a thread and must not touch what the loop has.
    """

    def __init__(self, schema: Schema, path: Path | None) -> None:
        self.schema = schema
        self.path = path
        self._closed = False
        self._writes: ThreadPoolExecutor | None = None
        self._reads: ThreadPoolExecutor | None = None
        self._writer = _Held(schema, path)
        self._readers = threading.local()
        self._all_readers: list[_Held] = []

    async def write(self, work: Work[T]) -> T:
        """What `work` returns, once its transaction is committed; where it raises, nothing has changed.

        A caller that is cancelled leaves a transaction that has begun to its end.

        Raises:
            StorageError, StorageDamaged, StorageVersion, DiskFull, Busy: the database can't be used; see `told`.
        """
        return await self._call(self._write_threads, lambda: self._writer.transaction(work, writing))

    async def read(self, work: Work[T]) -> T:
        """What `work` reads; it sees one moment. Raises as `write`."""
        if self.path is None:  # What is in memory has one connection.
            return await self._call(self._write_threads, lambda: self._writer.transaction(work, reading))
        return await self._call(self._read_threads, lambda: self._reader().transaction(work, reading))

    async def copy(self, target: Path) -> None:
        """Writes the whole database as it is at one moment into a new file, compacted; the file appears when it is
        complete, readable by its owner alone. Raises as `write`."""
        await self._call(self._write_threads, lambda: self._writer.copy(target))

    async def close(self) -> None:
        """Ends what has begun, and closes; nothing can be read or written any more."""
        self._closed = True
        for threads in (self._reads, self._writes):
            if threads is not None:
                # Waits for a thread: not on the loop.
                await asyncio.to_thread(threads.shutdown)
        for held in (*self._all_readers, self._writer):
            held.close()

    async def _call(self, threads: Callable[[], ThreadPoolExecutor], work: Callable[[], T]) -> T:
        if self._closed:
            raise StorageError(f"the kernel is shutting down, and {self.schema.holds} can't be used any more")
        return await asyncio.get_running_loop().run_in_executor(threads(), work)

    def _write_threads(self) -> ThreadPoolExecutor:
        if self._writes is None:
            self._writes = self._threads(1)
        return self._writes

    def _read_threads(self) -> ThreadPoolExecutor:
        if self._reads is None:
            self._reads = self._threads(READERS)
        return self._reads

    def _threads(self, number: int) -> ThreadPoolExecutor:
        # Few commands need a database.
        from concurrent.futures import ThreadPoolExecutor

        return ThreadPoolExecutor(number, thread_name_prefix=f"database-{self.schema.name}")

    def _reader(self) -> _Held:
        held: _Held | None = getattr(self._readers, "held", None)
        if held is None:
            held = self._readers.held = _Held(self.schema, self.path)
            self._all_readers.append(held)
        return held


class _Held:
    """A connection that one thread uses, opened when needed, and anew when another file stands in its place."""

    def __init__(self, schema: Schema, path: Path | None) -> None:
        self._schema = schema
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None

    def transaction(
        self, work: Work[T], transaction: Callable[[sqlite3.Connection], AbstractContextManager[None]]
    ) -> T:
        connection = self._open()
        with told(self._schema, self._path), transaction(connection):
            return work(connection)

    def copy(self, target: Path) -> None:
        connection = self._open()
        with told(self._schema, self._path):
            write_copy(connection, target)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _open(self) -> sqlite3.Connection:
        if self._path is not None and self._connection is not None and _file_of(self._path) != self._file:
            log.warning("%s was removed or replaced; what stands there now is used", self._path)
            self.close()
        if self._connection is None:
            self._connection = opened(self._schema, self._path)
            self._file = _file_of(self._path)
        return self._connection


def _file_of(path: Path | None) -> tuple[int, int] | None:
    """Which file a path leads to."""
    if path is None:
        return None
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino
