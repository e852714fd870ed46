"""Documents on their way into the database: vectors of their chunks in full batches, then a transaction each.

A batch has chunks of several documents where these are small, so that the model always has enough to do. What the
cache has is not computed. Knows the collections worker and one model; neither files nor requests.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, NamedTuple

from llmspell_kernel.services.rag.collections import Collections
from llmspell_kernel.services.rag.contents import Content
from llmspell_kernel.services.rag.embedding import Embedder, Vectors
from llmspell_kernel.services.rag.problems import is_of_text
from llmspell_kernel.services.rag.sources import Source
from llmspell_protocol.errors import LlmspellError
from llmspell_protocol.rag.documents import Document
from llmspell_protocol.rag.ops import Add, Begin, Commit, Committed, KeepVectors, Nothing, VectorsKept, VectorsOf
from llmspell_protocol.rag.places import Place

if TYPE_CHECKING:
    from llmspell_profiles.schema.rag import RagSettings

_CHUNKS_A_FRAME = 256
_HASHES_A_FRAME = 1024
"""Whose vectors fit a frame many times, as long as they are."""
_BATCHES_AT_ONCE = 2
"""While one is computed the next one waits at the model already."""
_READY = 4
"""Documents that wait to be written."""
_writes = count(1)


@dataclass(eq=False)
class Writing:
    """One document: its chunks, and their vectors as far as they are there."""

    source: Source
    document: Document
    content: Content
    vectors: list[bytes | None] = field(default_factory=list)
    problem: LlmspellError | None = None
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    lacking: int = 0

    def take(self, place: int, vector: bytes) -> None:
        """The vector of a chunk has come."""
        self.vectors[place] = vector
        self.lacking -= 1
        if not self.lacking:
            self.ready.set()

    def fail(self, problem: LlmspellError) -> None:
        """It can't be written."""
        self.problem = self.problem or problem
        self.ready.set()


class _Piece(NamedTuple):
    """A chunk that needs a vector: which one of which document."""

    of: Writing
    place: int
    text: str
    digest: str


class Tally:
    """What was written and computed."""

    def __init__(self) -> None:
        self.added = self.changed = self.chunks = self.vectors = self.tokens = 0


Written = Callable[[Writing], None]


class Writer:
    """Takes documents and writes them in their order; `on_embedded` hears how many chunks have vectors now."""

    def __init__(
        self,
        collections: Collections,
        embedder: Embedder,
        place: Place,
        settings: Callable[[], RagSettings],
        *,
        prepare: Callable[[], Awaitable[int]],
        on_embedded: Callable[[int], None],
        on_written: Written,
    ) -> None:
        self._collections = collections
        self._embedder = embedder
        self._place = place
        self._settings = settings
        self._prepare = prepare
        self._on_embedded = on_embedded
        self._on_written = on_written
        self._batch: list[_Piece] = []
        self._batches: set[asyncio.Task[None]] = set()
        self._free = asyncio.Semaphore(_BATCHES_AT_ONCE)
        self._waiting: asyncio.Queue[Writing | None] = asyncio.Queue(_READY)
        self.tally = Tally()

    async def run(self, documents: asyncio.Queue[Writing | None]) -> None:
        """Takes what comes until None does; everything is written when it returns.

        Raises:
            LlmspellError: what is no fault of a document: the model is gone, the disk is full.
        """
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._write_all())
                await self._embed_all(documents, tasks)
        except BaseExceptionGroup as group:
            raise group.exceptions[0] from None

    async def _embed_all(self, documents: asyncio.Queue[Writing | None], tasks: asyncio.TaskGroup) -> None:
        while True:
            if documents.empty() and not self._batches:
                # Better a small batch than a model without work.
                await self._flush(tasks)
            one = await documents.get()
            if one is None:
                break
            await self._begin(one, tasks)
            if self._waiting.full():
                await self._flush(tasks)
            await self._waiting.put(one)
        await self._flush(tasks)
        await self._waiting.put(None)

    async def _begin(self, one: Writing, tasks: asyncio.TaskGroup) -> None:
        chunks = one.content.chunks
        one.vectors = [None] * len(chunks)
        one.lacking = len(chunks)
        if not chunks:
            one.ready.set()
            return
        hashes = [hashlib.sha256(chunk.text.encode()).hexdigest() for chunk in chunks]
        known = await self._known(hashes)
        for place, (chunk, digest) in enumerate(zip(chunks, hashes, strict=True)):
            vector = known.get(digest)
            if vector is not None:
                one.take(place, vector)
                self._on_embedded(1)
                continue
            self._batch.append(_Piece(one, place, chunk.text, digest))
            if len(self._batch) >= self._settings().embedding.batch_size:
                await self._flush(tasks)

    async def _known(self, hashes: Sequence[str]) -> dict[str, bytes]:
        if not self._settings().embedding.cache_enabled:
            return {}
        model, dimension = self._embedder.model.name, await self._prepare()
        size, known = 4 * dimension, dict[str, bytes]()
        wanted = list(dict.fromkeys(hashes))
        for at in range(0, len(wanted), _HASHES_A_FRAME):
            some = wanted[at : at + _HASHES_A_FRAME]
            found = await self._collections.ask(
                VectorsOf(place=self._place, model=model, dimension=dimension, hashes=some), VectorsKept
            )
            rows = enumerate(found.hashes)
            known |= {digest: found.vectors[row * size : (row + 1) * size] for row, digest in rows}
        return known

    async def _flush(self, tasks: asyncio.TaskGroup) -> None:
        if not self._batch:
            return
        batch, self._batch = self._batch, []
        await self._free.acquire()
        task = tasks.create_task(self._embed(batch))
        self._batches.add(task)
        task.add_done_callback(self._batches.discard)

    async def _embed(self, batch: Sequence[_Piece]) -> None:
        try:
            await self._embed_texts([piece for piece in batch if piece.of.problem is None])
        finally:
            self._free.release()

    async def _embed_texts(self, batch: Sequence[_Piece]) -> None:
        if not batch:
            return
        try:
            found = await self._embedder.vectors([piece.text for piece in batch], "passage")
        except LlmspellError as error:
            if not is_of_text(error):
                raise
            documents = list(dict.fromkeys(piece.of for piece in batch))
            if len(documents) == 1:
                documents[0].fail(error)
                return
            for document in documents:
                await self._embed_texts([piece for piece in batch if piece.of is document])
            return
        self._taken(batch, found)
        if self._settings().embedding.cache_enabled:
            await self._collections.ask(
                KeepVectors(
                    place=self._place,
                    model=self._embedder.model.name,
                    dimension=found.dimension,
                    hashes=[piece.digest for piece in batch],
                    vectors=found.data,
                ),
                Nothing,
            )

    def _taken(self, batch: Sequence[_Piece], found: Vectors) -> None:
        self.tally.vectors += len(batch)
        self._on_embedded(len(batch))
        for row, piece in enumerate(batch):
            piece.of.take(piece.place, found.of(row))

    async def _write_all(self) -> None:
        with self._collections.writing():
            while (one := await self._waiting.get()) is not None:
                await one.ready.wait()
                if one.problem is None:
                    try:
                        await self._write(one)
                    except LlmspellError as error:
                        if not is_of_text(error):
                            raise
                        one.problem = error
                self._on_written(one)

    async def _write(self, one: Writing) -> None:
        dimension = await self._prepare()
        write = next(_writes)
        chunks, model = one.content.chunks, self._embedder.model.name
        ask = self._collections.ask
        try:
            await ask(
                Begin(place=self._place, write=write, model=model, dimension=dimension, document=one.document), Nothing
            )
            for at in range(0, len(chunks), _CHUNKS_A_FRAME):
                vectors = b"".join(vector or b"" for vector in one.vectors[at : at + _CHUNKS_A_FRAME])
                await ask(Add(write=write, chunks=chunks[at : at + _CHUNKS_A_FRAME], vectors=vectors), Nothing)
            done = await ask(Commit(write=write), Committed)
        except BaseException:
            self._collections.abort(write)
            raise
        one.vectors.clear()
        self.tally.chunks += done.chunks
        self.tally.tokens += sum(chunk.tokens for chunk in chunks)
        if done.replaced:
            self.tally.changed += 1
        else:
            self.tally.added += 1
