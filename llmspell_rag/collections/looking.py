"""What is there: places, documents, texts and counts. Blocks; on a thread that reads."""

from __future__ import annotations

from llmspell_protocol.errors import InvalidRequest
from llmspell_protocol.rag import ops
from llmspell_protocol.rag.documents import ChunkText
from llmspell_protocol.rag.places import Figures
from llmspell_rag.collections import documents, places
from llmspell_rag.collections.embeddings import Embeddings
from llmspell_rag.collections.indexes import Indexes
from llmspell_rag.collections.places import PlaceRow
from llmspell_rag.collections.searching import Searching
from llmspell_rag.collections.store import GoOn, Store

MOST = 10_000
"""Documents or texts of one page."""


class Looking:
    """The looks of a worker."""

    def __init__(self, store: Store, indexes: Indexes, searching: Searching, embeddings: Embeddings) -> None:
        self._store = store
        self._indexes = indexes
        self._searching = searching
        self._embeddings = embeddings

    def figures(self, row: PlaceRow) -> Figures:
        """A place and what is in it."""
        return Figures(
            place=row.place,
            model=row.model,
            dimension=row.dimension,
            documents=row.documents,
            chunks=row.chunks,
            tokens=row.tokens,
            bytes=row.bytes,
            index_bytes=self._indexes.file_bytes(row.number),
            memory_bytes=self._indexes.memory_bytes(row.number),
            index="hnsw" if self._indexes.has_graph(row) else "exact",
            changed_at=row.changed_at,
            expires_at=row.expires_at,
            ttl_s=row.ttl_s,
        )

    def describe(self, call: ops.Describe, go_on: GoOn) -> ops.Described:
        """A place, if it is there."""
        with self._store.reading(go_on) as connection:
            row = places.found(connection, call.place)
        return ops.Described(figures=None if row is None else self.figures(row))

    def places(self, call: ops.Places, go_on: GoOn) -> ops.PlacesThere:
        """All places of an owner."""
        with self._store.reading(go_on) as connection:
            rows = places.all_of(connection, call.owner, call.tenant)
        return ops.PlacesThere(places=[self.figures(row) for row in rows])

    def known(self, call: ops.AskKnown, go_on: GoOn) -> ops.AnswerKnown:
        """A page of the documents that are there."""
        _check(call.limit)
        with self._store.reading(go_on) as connection:
            row = places.found(connection, call.place)
            if row is None:
                return ops.AnswerKnown(documents=())
            found = documents.known(connection, row, call, call.limit + 1)
        page = found[: call.limit]
        return ops.AnswerKnown(documents=page, after=page[-1].id if len(found) > call.limit else None)

    def list(self, call: ops.ListDocuments, go_on: GoOn) -> ops.DocumentsThere:
        """A page of the documents."""
        _check(call.limit)
        with self._store.reading(go_on) as connection:
            row = places.wanted(connection, call.place)
            found = documents.listed(connection, row, call.after, call.limit + 1)
        page = found[: call.limit]
        return ops.DocumentsThere(documents=page, after=page[-1].id if len(found) > call.limit else None)

    def texts(self, call: ops.Texts, go_on: GoOn) -> ops.TextsThere:
        """A page of the chunks."""
        _check(call.limit)
        lacking = " AND NOT EXISTS (SELECT 1 FROM new_vectors WHERE chunk = chunks.number)" if call.lacking else ""
        with self._store.reading(go_on) as connection:
            row = places.wanted(connection, call.place)
            rows = connection.execute(
                "SELECT chunks.number, text, title, section FROM chunks JOIN documents ON documents.number = document"
                f" WHERE chunks.place = ? AND chunks.number > ?{lacking} ORDER BY chunks.number LIMIT ?",
                (row.number, call.after, call.limit + 1),
            ).fetchall()
            remaining = connection.execute(
                f"SELECT count(*) FROM chunks WHERE place = ? AND number > ?{lacking}", (row.number, call.after)
            ).fetchone()[0]
        page = [ChunkText(number=one[0], text=one[1], title=one[2], section=one[3]) for one in rows[: call.limit]]
        after = page[-1].number if len(rows) > call.limit else None
        return ops.TextsThere(chunks=page, after=after, remaining=remaining)

    def stats(self, call: ops.Stats, go_on: GoOn) -> ops.Statistics:
        """Counts of an owner, or of a place."""
        with self._store.reading(go_on) as connection:
            if call.place is None:
                rows = places.all_of(connection, call.owner, None)
            else:
                row = places.found(connection, call.place)
                rows = [] if row is None else [row]
            embeddings = connection.execute(
                "SELECT count(*) FROM embeddings WHERE owner = ?", (call.owner,)
            ).fetchone()[0]
        return ops.Statistics(
            documents=sum(one.documents for one in rows),
            chunks=sum(one.chunks for one in rows),
            vectors=sum(one.chunks for one in rows),
            tokens=sum(one.tokens for one in rows),
            bytes=sum(one.bytes for one in rows),
            places=len(rows),
            embeddings=embeddings,
            cached=self._embeddings.found,
            searches=self._searching.searches,
        )


def _check(limit: int) -> None:
    if not 1 <= limit <= MOST:
        raise InvalidRequest(f"a page has 1 to {MOST:,} entries, not {limit}")
