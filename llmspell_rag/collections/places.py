"""Places: rows of the database, what is in them, and what changes them. Blocks; inside a caller's transaction."""

from __future__ import annotations

import array
import os
import sqlite3
import time
from collections.abc import Iterable
from typing import NamedTuple

from llmspell_protocol.errors import Conflict, InvalidRequest, NotFound
from llmspell_protocol.rag.places import Place
from llmspell_rag.collections.tables import make_words, words_table

CHANGES_KEPT = 20_000
"""So many changes of a place are remembered: an index that saw one of them is caught up, an older one made anew."""
_COLUMNS = (
    "number, owner, tenant, collection, model, dimension, ttl_s, created_at, changed_at, epoch, generation, stamp,"
    " has_file, documents, chunks, tokens, bytes"
)


class PlaceRow(NamedTuple):
    """A row of `places`."""

    number: int
    owner: str
    tenant: str
    collection: str
    model: str
    dimension: int
    ttl_s: float | None
    created_at: float
    changed_at: float
    epoch: int
    """another one with each set of vectors"""
    generation: int
    """counts the transactions that changed vectors"""
    stamp: str
    """of the last of them: a random one"""
    has_file: int
    """1: its index was saved"""
    documents: int
    chunks: int
    tokens: int
    bytes: int

    @property
    def place(self) -> Place:
        """Where it is."""
        return Place(owner=self.owner, tenant=self.tenant, collection=self.collection)

    @property
    def expires_at(self) -> float | None:
        """When all of it goes; None: never."""
        return None if self.ttl_s is None else self.changed_at + self.ttl_s


def named(place: Place) -> str:
    """A place as errors name it."""
    return f"'{place.collection}'" + (f" of tenant '{place.tenant}'" if place.tenant else "")


def found(connection: sqlite3.Connection, place: Place) -> PlaceRow | None:
    """The row of a place; None: there is none, or it has expired."""
    row = connection.execute(
        f"SELECT {_COLUMNS} FROM places WHERE owner = ? AND tenant = ? AND collection = ?",
        (place.owner, place.tenant, place.collection),
    ).fetchone()
    if row is None:
        return None
    there = PlaceRow(*row)
    return there if there.expires_at is None or there.expires_at > time.time() else None


def wanted(connection: sqlite3.Connection, place: Place) -> PlaceRow:
    """The row of a place.

    Raises:
        NotFound: there is none.
    """
    row = found(connection, place)
    if row is None:
        raise NotFound(f"there is no collection {named(place)}", hint="llmspell rag collections shows what there is")
    return row


def by_number(connection: sqlite3.Connection, number: int) -> PlaceRow | None:
    """The row with a number, expired or not."""
    row = connection.execute(f"SELECT {_COLUMNS} FROM places WHERE number = ?", (number,)).fetchone()
    return None if row is None else PlaceRow(*row)


def all_of(connection: sqlite3.Connection, owner: str, tenant: str | None) -> list[PlaceRow]:
    """The places of an owner that have not expired, by tenant and collection."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM places WHERE owner = ? AND (? IS NULL OR tenant = ?) ORDER BY tenant, collection",
        (owner, tenant, tenant),
    )
    now = time.time()
    there = (PlaceRow(*row) for row in rows)
    return [one for one in there if one.expires_at is None or one.expires_at > now]


def make(connection: sqlite3.Connection, place: Place, model: str, dimension: int, ttl_s: float | None) -> PlaceRow:
    """Makes a place, or gives one that is there the ttl.

    Raises:
        InvalidRequest: no place can be so.
        Conflict: it is there with another model or dimension.
    """
    if dimension < 1:
        raise InvalidRequest(f"a vector has at least 1 dimension, not {dimension}")
    if ttl_s is not None and ttl_s <= 0:
        raise InvalidRequest(f"a ttl is more than 0 s, not {ttl_s:g}")
    row = found(connection, place)
    if row is None:
        remove_expired(connection, place)
        now = time.time()
        number = connection.execute(
            "INSERT INTO places (owner, tenant, collection, model, dimension, ttl_s, created_at, changed_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?) RETURNING number",
            (place.owner, place.tenant, place.collection, model, dimension, ttl_s, now, now),
        ).fetchone()[0]
        make_words(connection, number)
    else:
        number = row.number
        demand(row, model, dimension)
        if ttl_s is not None:
            connection.execute("UPDATE places SET ttl_s = ? WHERE number = ?", (ttl_s, number))
    made = by_number(connection, number)
    assert made is not None
    return made


def demand(row: PlaceRow, model: str | None, dimension: int) -> None:
    """Raises where vectors of this model can't lie in a place.

    Raises:
        Conflict: it has another model, or its vectors have another dimension.
    """
    if dimension != row.dimension:
        raise Conflict(
            f"collection {named(row.place)} has vectors of {row.dimension} dimensions (model {row.model}), "
            f"not of {dimension}" + (f" (model {model})" if model is not None else ""),
            hint="use that model, another collection, or embed this one again: llmspell rag rebuild --model MODEL",
            details={"expected": row.dimension, "dimension": dimension, "model": row.model},
            retryable=False,
        )
    if model is not None and model != row.model:
        raise Conflict(
            f"collection {named(row.place)} has vectors of the model {row.model}, not of {model}",
            hint="use that model, another collection, or embed this one again: llmspell rag rebuild --model MODEL",
            details={"expected": row.model, "model": model},
            retryable=False,
        )


def change(connection: sqlite3.Connection, number: int, removed: Iterable[int]) -> None:
    """Tells all that have its index open that a place's vectors are others now; `removed` went by number."""
    stamp = os.urandom(8).hex()
    generation = connection.execute(
        "UPDATE places SET generation = generation + 1, stamp = ?, changed_at = ? WHERE number = ?"
        " RETURNING generation",
        (stamp, time.time(), number),
    ).fetchone()[0]
    connection.execute(
        "INSERT INTO changes VALUES (?, ?, ?, ?)", (number, generation, stamp, array.array("q", removed).tobytes())
    )
    connection.execute("DELETE FROM changes WHERE place = ? AND generation <= ?", (number, generation - CHANGES_KEPT))


def count(connection: sqlite3.Connection, number: int, *, documents: int, chunks: int, tokens: int, size: int) -> None:
    """Adds to what is counted of a place; negative numbers take from it."""
    connection.execute(
        "UPDATE places SET documents = documents + ?, chunks = chunks + ?, tokens = tokens + ?, bytes = bytes + ?"
        " WHERE number = ?",
        (documents, chunks, tokens, size, number),
    )


def remove(connection: sqlite3.Connection, number: int) -> None:
    """Removes a place and all that is in it."""
    connection.execute(f"DROP TABLE {words_table(number)}")
    connection.execute("DELETE FROM places WHERE number = ?", (number,))


def remove_expired(connection: sqlite3.Connection, place: Place) -> None:
    """Removes a place that nothing sees any more, so that another one may stand there."""
    row = connection.execute(
        "SELECT number FROM places WHERE owner = ? AND tenant = ? AND collection = ?",
        (place.owner, place.tenant, place.collection),
    ).fetchone()
    if row is not None:
        remove(connection, row[0])
