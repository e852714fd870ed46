"""What changes documents: each write in one transaction, and the index behind it. On the thread that writes.

A document's chunks are staged in a table of this connection alone until they are committed, so that a long document
needs no memory and keeps no other process from writing.
"""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from llmspell_protocol.errors import InvalidRequest, LlmspellError, Unsupported
from llmspell_protocol.rag import ops
from llmspell_protocol.rag.documents import Document
from llmspell_protocol.rag.places import Place
from llmspell_rag.collections import documents, places
from llmspell_rag.collections.documents import Gone
from llmspell_rag.collections.indexes import Indexes
from llmspell_rag.collections.limits import demand_room
from llmspell_rag.collections.places import PlaceRow
from llmspell_rag.collections.store import GoOn, Store
from llmspell_rag.collections.tables import words_table
from llmspell_storage.words import searchable

log = logging.getLogger(__name__)

_OPTIMIZED = 10
"""The table of words is made compact where one in so many chunks was removed."""


class _Open(NamedTuple):
    """A document that was begun."""

    place: Place
    number: int
    model: str
    document: Document
    dimension: int


class Writing:
    """The writes of a worker."""

    def __init__(self, store: Store, indexes: Indexes) -> None:
        self._store = store
        self._indexes = indexes
        self._open: dict[int, _Open] = {}
        self._failed: dict[int, LlmspellError] = {}

    def create(self, call: ops.Create) -> PlaceRow:
        """Makes a place."""
        with self._store.writing() as connection:
            return places.make(connection, call.place, call.model, call.dimension, call.ttl_s)

    def begin(self, call: ops.Begin) -> ops.Nothing:
        """Begins a document."""
        if call.write in self._open:
            raise InvalidRequest(f"write {call.write} is open already")
        if not call.document.id:
            raise InvalidRequest("a document needs an id")
        with self._store.reading() as connection:
            row = places.wanted(connection, call.place)
            places.demand(row, call.model, call.dimension)
        self._failed.pop(call.write, None)
        self._open[call.write] = _Open(call.place, row.number, call.model, call.document, call.dimension)
        return ops.Nothing()

    def add(self, call: ops.Add) -> ops.Nothing:
        """Stages chunks of a document; what it can't take ends the write."""
        write = self._opened(call.write)
        try:
            self._stage(call, write)
        except LlmspellError as error:
            self._failed[call.write] = error
            raise
        return ops.Nothing()

    def _stage(self, call: ops.Add, write: _Open) -> None:
        size = 4 * write.dimension
        if len(call.vectors) != size * len(call.chunks):
            raise InvalidRequest(
                f"{len(call.chunks)} chunks with {write.dimension} dimensions each need"
                f" {size * len(call.chunks)} bytes of vectors, not {len(call.vectors)}",
                details={"expected": write.dimension, "dimension": len(call.vectors) // 4 // max(1, len(call.chunks))},
            )
        about = {one: documents.about(write.document.title, one) for one in {chunk.section for chunk in call.chunks}}
        rows = [
            (
                *(call.write, one.ordinal, one.text, one.start, one.end, one.tokens, one.page, one.line, one.section),
                *(searchable(one.text), about[one.section], call.vectors[at * size : (at + 1) * size]),
            )
            for at, one in enumerate(call.chunks)
        ]
        with self._store.telling():
            try:
                self._store.connection.executemany(f"INSERT INTO staged VALUES ({','.join('?' * 12)})", rows)
            except sqlite3.IntegrityError:
                raise InvalidRequest("a document's chunks have different ordinals") from None

    def commit(self, call: ops.Commit, go_on: GoOn) -> ops.Committed:
        """Writes the document."""
        write = self._opened(call.write)
        # The write that keeps up with its graph is the one that made it grow.
        while self._indexes.work(go_on, overdue=True):
            pass
        with self._store.writing() as connection:
            row = places.wanted(connection, write.place)
            places.demand(row, write.model, write.dimension)
            chunks, gone = documents.put(connection, row, call.write, write.document)
            after = places.by_number(connection, row.number)
            assert after is not None
            demand_room(connection, row, self._indexes, self._store.settings, after)
            places.change(connection, row.number, gone.chunks)
        self._drop(call.write)
        self.follow(row.number)
        return ops.Committed(replaced=gone.documents > 0, chunks=chunks, chunks_removed=len(gone.chunks))

    def abort(self, call: ops.Abort) -> ops.Nothing:
        """Drops a document that was begun."""
        self._drop(call.write)
        return ops.Nothing()

    def delete(self, call: ops.Delete) -> ops.Deleted:
        """Removes documents."""
        if not (call.ids or call.sources or call.filter):
            raise InvalidRequest("what is to be removed: an id, a source or metadata", hint="or clear the collection")
        return self._removing(lambda connection: self._remove_named(connection, call))

    def clear(self, call: ops.Clear) -> ops.Deleted:
        """Removes a place."""
        return self._removing(lambda connection: self._remove_places(connection, places.found(connection, call.place)))

    def expire(self, _: ops.Expire) -> ops.Deleted:
        """Removes what has expired, everywhere."""
        return self._removing(self._remove_expired)

    def follow(self, number: int) -> None:
        """Brings the index of a place to the database's state."""
        with self._store.reading() as connection:
            row = places.by_number(connection, number)
            if row is None:
                return
            try:
                self._indexes.follow(connection, row)
            except Unsupported as error:
                # Without the library only words are found; each search by vectors says so.
                log.warning("%s", error.message)

    def _opened(self, write: int) -> _Open:
        failed = self._failed.get(write)
        if failed is not None:
            raise failed
        found = self._open.get(write)
        if found is None:
            raise InvalidRequest(f"write {write} is not open")
        return found

    def _drop(self, write: int) -> None:
        self._failed.pop(write, None)
        if self._open.pop(write, None) is not None:
            with self._store.telling():
                self._store.connection.execute("DELETE FROM staged WHERE write = ?", (write,))

    def _removing(self, work: Callable[[sqlite3.Connection], Sequence[tuple[PlaceRow, Gone, bool]]]) -> ops.Deleted:
        """Removes in one transaction, and gives back to the disk what that leaves free."""
        before = self._needed_bytes()
        with self._store.writing() as connection:
            removed = work(connection)
        for row, _, is_whole in removed:
            if is_whole:
                self._indexes.forget(row.number)
            else:
                self.follow(row.number)
        if removed:
            self._store.shrink()
        return ops.Deleted(
            documents=sum(gone.documents for _, gone, _ in removed),
            chunks=sum(len(gone.chunks) for _, gone, _ in removed),
            bytes_freed=max(0, before - self._needed_bytes()),
        )

    def _needed_bytes(self) -> int:
        with self._store.telling():
            numbers = self._store.connection.execute("SELECT number FROM places").fetchall()
            return self._store.used_bytes() + sum(self._indexes.file_bytes(number) for (number,) in numbers)

    def _remove_named(self, connection: sqlite3.Connection, call: ops.Delete) -> list[tuple[PlaceRow, Gone, bool]]:
        row = places.wanted(connection, call.place)
        numbers = documents.numbers_of(connection, row, call.ids, call.sources, call.filter)
        return self._remove_documents(connection, row, numbers)

    def _remove_documents(
        self, connection: sqlite3.Connection, row: PlaceRow, numbers: Sequence[int]
    ) -> list[tuple[PlaceRow, Gone, bool]]:
        gone = documents.remove(connection, row, numbers)
        if not gone.documents:
            return []
        places.change(connection, row.number, gone.chunks)
        if len(gone.chunks) * _OPTIMIZED >= row.chunks:
            table = words_table(row.number)
            connection.execute(f"INSERT INTO {table} ({table}) VALUES ('optimize')")
        return [(row, gone, False)]

    def _remove_places(
        self, connection: sqlite3.Connection, *rows: PlaceRow | None
    ) -> list[tuple[PlaceRow, Gone, bool]]:
        removed = []
        for row in rows:
            if row is not None:
                places.remove(connection, row.number)
                removed.append((row, Gone(row.documents, range(row.chunks)), True))
        return removed

    def _remove_expired(self, connection: sqlite3.Connection) -> list[tuple[PlaceRow, Gone, bool]]:
        now = time.time()
        ended = connection.execute("SELECT number FROM places WHERE changed_at + ttl_s <= ?", (now,)).fetchall()
        removed = self._remove_places(connection, *(places.by_number(connection, number) for (number,) in ended))
        query = "SELECT DISTINCT place FROM documents WHERE expires_at <= ?"
        for (number,) in connection.execute(query, (now,)).fetchall():
            row = places.by_number(connection, number)
            assert row is not None
            query = "SELECT number FROM documents WHERE place = ? AND expires_at <= ?"
            numbers = [one for (one,) in connection.execute(query, (number, now))]
            removed += self._remove_documents(connection, row, numbers)
        return removed
