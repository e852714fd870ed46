"""Embedding a place with another model: new vectors lie beside the old ones until all are there.

On the thread that writes.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from llmspell_protocol.errors import InvalidRequest, NotFound
from llmspell_protocol.rag import embedding, ops
from llmspell_rag.collections import places
from llmspell_rag.collections.indexes import Indexes
from llmspell_rag.collections.limits import demand_room
from llmspell_rag.collections.places import PlaceRow, named
from llmspell_rag.collections.store import Store

_LACKING = (
    "SELECT count(*) FROM chunks WHERE place = ? AND NOT EXISTS"
    " (SELECT 1 FROM new_vectors WHERE new_vectors.chunk = chunks.number)"
)


class Replacing:
    """The replacements of a database; they outlive the worker."""

    def __init__(self, store: Store, indexes: Indexes, follow: Callable[[int], None]) -> None:
        self._store = store
        self._indexes = indexes
        self._follow = follow

    def begin(self, call: embedding.ReplaceBegin) -> embedding.ReplaceBegun:
        """Begins one, or goes on with one of the same model."""
        with self._store.writing() as connection:
            row = places.wanted(connection, call.place)
            if call.dimension < 1:
                raise InvalidRequest(f"a vector has at least 1 dimension, not {call.dimension}")
            there = _of(connection, row)
            if there != (call.model, call.dimension):
                connection.execute("DELETE FROM replacements WHERE place = ?", (row.number,))
                connection.execute(
                    "INSERT INTO replacements VALUES (?, ?, ?)", (row.number, call.model, call.dimension)
                )
            lacking = connection.execute(_LACKING, (row.number,)).fetchone()[0]
        return embedding.ReplaceBegun(done=row.chunks - lacking, total=row.chunks)

    def vectors(self, call: embedding.ReplaceVectors) -> ops.Nothing:
        """Takes new vectors."""
        with self._store.writing() as connection:
            row = places.wanted(connection, call.place)
            _, dimension = _wanted(connection, row)
            size = 4 * dimension
            if len(call.vectors) != size * len(call.numbers):
                raise InvalidRequest(
                    f"{len(call.numbers)} vectors of {dimension} dimensions have {size * len(call.numbers)} bytes,"
                    f" not {len(call.vectors)}",
                    details={"expected": dimension},
                )
            connection.executemany(
                "INSERT OR REPLACE INTO new_vectors (chunk, place, vector)"
                " SELECT number, place, ? FROM chunks WHERE number = ? AND place = ?",
                [
                    (call.vectors[at * size : (at + 1) * size], number, row.number)
                    for at, number in enumerate(call.numbers)
                ],
            )
        return ops.Nothing()

    def commit(self, call: embedding.ReplaceCommit) -> embedding.Replaced:
        """Has the new vectors take the place of the old ones, where none is lacking."""
        with self._store.writing() as connection:
            row = places.wanted(connection, call.place)
            model, dimension = _wanted(connection, row)
            lacking = int(connection.execute(_LACKING, (row.number,)).fetchone()[0])
            if lacking:
                return embedding.Replaced(lacking=lacking)
            after = row._replace(dimension=dimension, bytes=row.bytes + 4 * row.chunks * (dimension - row.dimension))
            demand_room(connection, row._replace(chunks=0), self._indexes, self._store.settings, after)
            connection.execute(
                "UPDATE vectors SET vector = new_vectors.vector FROM new_vectors"
                " WHERE new_vectors.place = ? AND new_vectors.chunk = vectors.chunk",
                (row.number,),
            )
            connection.execute("DELETE FROM replacements WHERE place = ?", (row.number,))
            connection.execute("DELETE FROM changes WHERE place = ?", (row.number,))
            connection.execute(
                "UPDATE documents SET stored_bytes = stored_bytes + 4 * chunks * ? WHERE place = ?",
                (dimension - row.dimension, row.number),
            )
            connection.execute(
                "UPDATE places SET model = ?, dimension = ?, bytes = ?, epoch = epoch + 1,"
                " has_file = 0 WHERE number = ?",
                (model, dimension, after.bytes, row.number),
            )
            places.change(connection, row.number, ())
        self._indexes.forget(row.number)
        self._follow(row.number)
        return embedding.Replaced(lacking=0)

    def abort(self, call: embedding.ReplaceAbort) -> ops.Nothing:
        """Drops what there is of one."""
        with self._store.writing() as connection:
            row = places.wanted(connection, call.place)
            connection.execute("DELETE FROM replacements WHERE place = ?", (row.number,))
        return ops.Nothing()


def _of(connection: sqlite3.Connection, row: PlaceRow) -> tuple[str, int] | None:
    found: tuple[str, int] | None = connection.execute(
        "SELECT model, dimension FROM replacements WHERE place = ?", (row.number,)
    ).fetchone()
    return found


def _wanted(connection: sqlite3.Connection, row: PlaceRow) -> tuple[str, int]:
    found = _of(connection, row)
    if found is None:
        raise NotFound(f"collection {named(row.place)} is not being embedded with another model")
    return found
