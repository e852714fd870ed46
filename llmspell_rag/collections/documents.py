"""Documents as rows: written, found, listed and removed. Blocks; inside a caller's transaction."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from llmspell_protocol.rag import ops
from llmspell_protocol.rag.documents import Document, Known, Listed
from llmspell_rag.collections import places
from llmspell_rag.collections.filters import asked, documents_with, keep_facts
from llmspell_rag.collections.places import PlaceRow
from llmspell_rag.collections.tables import words_table
from llmspell_storage.words import searchable

_AT_ONCE = 500
"""Parameters of one query."""
_ROW_BYTES = 220
"""What a chunk's rows take beside its text, its words and its vector: keys, indexes and half-empty pages."""
_KNOWN = "id, hash, source, chunks, tokens"
_ALIVE = "(expires_at IS NULL OR expires_at > ?)"


class Gone(NamedTuple):
    """What was removed: how many documents, and the numbers of their chunks."""

    documents: int
    chunks: Sequence[int]


def stored_bytes(texts: int, chunks: int, dimension: int, metadata: int) -> int:
    """About what a document takes of the file: its text, its words as often again, its vectors, and its rows."""
    return 2 * texts + chunks * (4 * dimension + _ROW_BYTES) + metadata + _ROW_BYTES


def put(connection: sqlite3.Connection, row: PlaceRow, write: int, document: Document) -> tuple[int, Gone]:
    """Writes a document with the chunks that were staged for a write, in place of one with its id.

    Returns how many chunks it has, and what went for it.
    """
    now = time.time()
    old = connection.execute(
        "SELECT number, added_at FROM documents WHERE place = ? AND id = ?", (row.number, document.id)
    ).fetchone()
    gone = remove(connection, row, [old[0]] if old is not None else [])
    chunks, tokens, texts = connection.execute(
        "SELECT count(*), coalesce(sum(tokens), 0), coalesce(sum(length(CAST(text AS BLOB))), 0) FROM staged"
        " WHERE write = ?",
        (write,),
    ).fetchone()
    metadata = json.dumps(document.metadata, ensure_ascii=False)
    size = stored_bytes(texts, chunks, row.dimension, 2 * len(metadata))
    number = connection.execute(
        "INSERT INTO documents (place, id, hash, source, title, media_type, metadata, added_at, changed_at,"
        " expires_at, chunks, tokens, characters, bytes, stored_bytes)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING number",
        (
            *(row.number, document.id, document.hash, document.source, document.title, document.media_type, metadata),
            *(now if old is None else old[1], now, document.expires_at),
            *(chunks, tokens, document.characters, document.bytes, size),
        ),
    ).fetchone()[0]
    keep_facts(connection, row.number, number, document.metadata)
    connection.execute(
        "INSERT INTO chunks (place, document, ordinal, text, first, last, tokens, page, line, section)"
        " SELECT ?, ?, ordinal, text, first, last, tokens, page, line, section FROM staged WHERE write = ?"
        " ORDER BY ordinal",
        (row.number, number, write),
    )
    # Nothing else writes meanwhile: the numbers follow each other.
    connection.execute(
        "UPDATE documents SET first_chunk = coalesce((SELECT min(chunks.number) FROM chunks WHERE document = ?), 0)"
        " WHERE number = ?",
        (number, number),
    )
    for into, what in (("vectors (chunk, vector)", "vector"), (f"{_words(row)} (rowid, text, about)", "words, about")):
        connection.execute(
            f"INSERT INTO {into} SELECT number, {what} FROM chunks JOIN staged ON staged.ordinal = chunks.ordinal"
            " WHERE document = ? AND write = ? ORDER BY number",
            (number, write),
        )
    places.count(connection, row.number, documents=1, chunks=chunks, tokens=tokens, size=size)
    return chunks, gone


def remove(connection: sqlite3.Connection, row: PlaceRow, numbers: Iterable[int]) -> Gone:
    """Removes documents of a place by their numbers in the database; the caller tells `places.change`."""
    chunks: list[int] = []
    documents = 0
    for number in numbers:
        found = connection.execute(
            "SELECT title, chunks, tokens, stored_bytes FROM documents WHERE number = ? AND place = ?",
            (number, row.number),
        ).fetchone()
        if found is None:
            continue
        title, count, tokens, size = found
        table = _words(row)
        texts = connection.execute("SELECT number, text, section FROM chunks WHERE document = ?", (number,)).fetchall()
        connection.executemany(
            f"INSERT INTO {table} ({table}, rowid, text, about) VALUES ('delete', ?, ?, ?)",
            [(one, searchable(text), about(title, section)) for one, text, section in texts],
        )
        chunks += [one for one, _, _ in texts]
        connection.execute("DELETE FROM documents WHERE number = ?", (number,))
        places.count(connection, row.number, documents=-1, chunks=-count, tokens=-tokens, size=-size)
        documents += 1
    return Gone(documents, chunks)


def about(title: str | None, section: str | None) -> str:
    """What a chunk can be found by beside its text, as its words are kept."""
    return searchable("\n".join(one for one in (title, section) if one))


def _words(row: PlaceRow) -> str:
    return words_table(row.number)


def numbers_of(
    connection: sqlite3.Connection,
    row: PlaceRow,
    ids: Sequence[str],
    sources: Sequence[str],
    wanted: Mapping[str, Any],
) -> list[int]:
    """The numbers of documents that any of the three names; of a directory all that lies below it."""
    numbers: set[int] = set()
    for some in _pieces(ids):
        marks = ",".join("?" * len(some))
        numbers.update(
            one
            for (one,) in connection.execute(
                f"SELECT number FROM documents WHERE place = ? AND id IN ({marks})", (row.number, *some)
            )
        )
    for source in sources:
        numbers.update(one[0] for one in _below(connection, row, "number", source))
    if wanted:
        numbers.update(one for (one,) in connection.execute(*documents_with(row.number, asked(wanted))))
    return sorted(numbers)


def known(connection: sqlite3.Connection, row: PlaceRow, call: ops.AskKnown, limit: int) -> list[Known]:
    """Documents that are there and have not expired, each once, by id; the first of those behind `call.after`."""
    page, behind = f" AND id > ? AND {_ALIVE} ORDER BY id LIMIT ?", (call.after, time.time(), limit)
    rows: list[tuple[Any, ...]] = []
    for column, values in (("id", call.ids), ("source", call.sources)):
        for some in _pieces(values):
            marks = ",".join("?" * len(some))
            query = f"SELECT {_KNOWN} FROM documents WHERE place = ? AND {column} IN ({marks}){page}"
            rows += connection.execute(query, (row.number, *some, *behind))
    for source in call.below:
        rows += _below(connection, row, _KNOWN, source, page, behind)
    found = {one[0]: one for one in rows}
    columns = ("id", "hash", "source", "chunks", "tokens")
    return [Known(**dict(zip(columns, found[one], strict=True))) for one in sorted(found)[:limit]]


def _below(
    connection: sqlite3.Connection,
    row: PlaceRow,
    columns: str,
    source: str,
    more: str = "",
    parameters: Sequence[Any] = (),
) -> list[tuple[Any, ...]]:
    folder = source.rstrip("/") + "/"
    return connection.execute(
        f"SELECT {columns} FROM documents WHERE place = ? AND (source = ? OR (source > ? AND source < ?)){more}",
        # Behind a slash comes a zero: all that begin with the folder lie between.
        (row.number, source, folder, folder[:-1] + "0", *parameters),
    ).fetchall()


def listed(connection: sqlite3.Connection, row: PlaceRow, after: str | None, limit: int) -> list[Listed]:
    """A page of the documents that have not expired, by id."""
    rows = connection.execute(
        "SELECT id, hash, source, title, media_type, metadata, chunks, tokens, characters, bytes, added_at, changed_at,"
        f" expires_at FROM documents WHERE place = ? AND (? IS NULL OR id > ?) AND {_ALIVE} ORDER BY id LIMIT ?",
        (row.number, after, after, time.time(), limit),
    )
    return [
        Listed(
            **dict(zip(("id", "hash", "source", "title", "media_type"), one[:5], strict=True)),
            metadata=json.loads(one[5]),
            **dict(
                zip(
                    ("chunks", "tokens", "characters", "bytes", "added_at", "changed_at", "expires_at"),
                    one[6:],
                    strict=True,
                )
            ),
        )
        for one in rows
    ]


def expired(connection: sqlite3.Connection, row: PlaceRow, now: float) -> int:
    """How many documents of a place have expired and are still there."""
    query = "SELECT count(*) FROM documents WHERE place = ? AND expires_at IS NOT NULL AND expires_at <= ?"
    return int(connection.execute(query, (row.number, now)).fetchone()[0])


def _pieces(values: Sequence[str]) -> Iterable[Sequence[str]]:
    return (values[at : at + _AT_ONCE] for at in range(0, len(values), _AT_ONCE))
