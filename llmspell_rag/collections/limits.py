"""How much there may be: asked before anything is written. Inside a caller's transaction."""

from __future__ import annotations

import sqlite3

from llmspell_protocol.errors import LlmspellError, OutOfMemory, Unsupported
from llmspell_protocol.rag.settings import IndexSettings
from llmspell_rag.collections.indexes import Indexes
from llmspell_rag.collections.places import PlaceRow, named

_ROOM = "remove documents, use another collection, or raise"


def demand_room(
    connection: sqlite3.Connection, row: PlaceRow, indexes: Indexes, settings: IndexSettings, more: PlaceRow
) -> None:
    """Raises where a place can't become as large as `more`.

    Raises:
        Unsupported: it would have more vectors, documents or bytes than the settings allow one place.
        OutOfMemory: the vectors of all places would take more memory than the settings allow.
    """
    for what, count, most, setting in (
        ("vectors", more.chunks, settings.max_elements, "rag.vector_storage.hnsw.max_elements"),
        ("documents", more.documents, settings.max_documents, None),
        ("bytes", more.bytes, settings.max_bytes, None),
    ):
        had = getattr(row, "chunks" if what == "vectors" else what)
        if most is not None and count > most and count > had:
            raise _too_many(row, what, count, most, setting)
    limit = settings.max_memory_bytes
    if limit is None:
        return
    others = connection.execute("SELECT chunks, dimension FROM places WHERE number != ?", (row.number,)).fetchall()
    before = sum(indexes.needed_bytes(chunks, dimension) for chunks, dimension in others)
    needed = before + indexes.needed_bytes(more.chunks, more.dimension)
    if needed > limit and more.chunks > row.chunks:
        raise OutOfMemory(
            f"the vectors of all collections would take {needed / 1e6:,.1f} MB of memory,"
            f" and {limit / 1e6:,.1f} MB are allowed",
            hint=f"{_ROOM} rag.vector_storage.max_memory_mb",
            details={"needed_bytes": needed, "budget_bytes": limit, "held": before},
        )


def _too_many(row: PlaceRow, what: str, count: int, most: int, setting: str | None) -> LlmspellError:
    return Unsupported(
        f"collection {named(row.place)} would have {count:,} {what}, and {most:,} are allowed",
        hint=f"{_ROOM} {setting}" if setting is not None else "remove documents, or use another collection",
        details={"limit": most, "needed": count, "what": what},
    )
