"""Vectors as the database has them: the truth that indexes are made from. Blocks; inside a caller's transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import TYPE_CHECKING

from llmspell_rag.collections.places import PlaceRow
from llmspell_rag.index.closeness import numpy, read_vectors

if TYPE_CHECKING:
    from llmspell_rag.index.closeness import Numbers, Vectors

_PAGE = 5_000
"""Vectors that are read at a time."""
_FEW = 500


def vectors_of(connection: sqlite3.Connection, numbers: Numbers, dimension: int) -> tuple[Numbers, Vectors]:
    """The vectors of chunks as they were written, of those that are there; numbers ascending."""
    np = numpy()
    wanted = np.sort(numbers).tolist()
    rows: list[tuple[int, bytes]] = []
    for at in range(0, len(wanted), _FEW):
        some = wanted[at : at + _FEW]
        marks = ",".join("?" * len(some))
        rows += connection.execute(f"SELECT chunk, vector FROM vectors WHERE chunk IN ({marks}) ORDER BY chunk", some)
    found = np.fromiter((one for one, _ in rows), np.int64, len(rows))
    return found, read_vectors(b"".join(vector for _, vector in rows), dimension)


def pages(connection: sqlite3.Connection, row: PlaceRow, last: int) -> Iterator[tuple[Numbers, Vectors]]:
    """The vectors of a place whose numbers are above `last`, ascending, some thousand at a time."""
    np = numpy()
    rows = connection.execute(
        "SELECT number, vector FROM chunks JOIN vectors ON vectors.chunk = chunks.number"
        " WHERE place = ? AND number > ? ORDER BY number",
        (row.number, last),
    )
    while some := rows.fetchmany(_PAGE):
        numbers = np.fromiter((one for one, _ in some), np.int64, len(some))
        yield numbers, read_vectors(b"".join(vector for _, vector in some), row.dimension)
