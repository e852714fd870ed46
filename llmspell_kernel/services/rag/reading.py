"""Files and texts to chunks, in reading workers: they are ended to cancel, and held to their time and memory.

A worker asks back for token counts, and for vectors where texts are cut by meaning. Knows one model; no places.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from llmspell_kernel.services.rag.contents import Content
from llmspell_kernel.services.rag.embedding import Embedder
from llmspell_kernel.services.rag.problems import ModelFailure, is_of_text
from llmspell_kernel.worker_pool import WorkerPool
from llmspell_protocol.areas.rag import RagProblem
from llmspell_protocol.calls import EXITED, Call
from llmspell_protocol.errors import (
    InvalidRequest,
    LlmspellError,
    OutOfMemory,
    Timeout,
    WorkerCrashed,
    error_from_content,
)
from llmspell_protocol.exit_status import ending
from llmspell_protocol.frames import Frame, FrameTooLarge
from llmspell_protocol.rag.documents import Chunk
from llmspell_protocol.worker_memory import TOOL_BYTES

_WORKER = "llmspell_rag.reading_worker"
_LOG_NAME = "rag-reading.log"
_WORKERS = 2
READ_WITHIN_S = 300.0
"""What reading one document may take, apart from the time of the model that its worker asks."""
LARGEST_BYTES = 200_000_000
"""Of one document."""


class Cutting(NamedTuple):
    """How documents are cut; sizes in tokens of the embedding model."""

    strategy: str
    chunk_size: int
    overlap: int
    min_chunk_size: int
    max_chunk_size: int
    limit: int
    """the most that the model reads of a text, beside its own tokens and the prefix"""


class Reading(NamedTuple):
    """What is to be read: a file, below one of the paths `beneath`, or bytes."""

    name: str
    path: str | None = None
    beneath: Sequence[str] = ()
    data: bytes | None = None
    media_type: str | None = None
    limit_bytes: int | None = None


class Read(NamedTuple):
    """A document that was read; `content` None: its hash is the known one, and it was not cut."""

    hash: str
    content: Content | None


class File(NamedTuple):
    """A file that is a document by its name."""

    path: str
    size: int


class Reader:
    """Reads documents in worker processes; belongs to the loop."""

    def __init__(self, log_directory: Path) -> None:
        self._pool = WorkerPool(
            _WORKER, log_path=log_directory / _LOG_NAME, size=_WORKERS, memory_bytes=TOOL_BYTES, kept=_WORKERS
        )

    def prepare(self) -> None:
        """Starts a worker ahead of a call."""
        self._pool.prepare()

    async def files(
        self, path: str, beneath: Sequence[str], include: Sequence[str], exclude: Sequence[str]
    ) -> tuple[Sequence[File], Sequence[RagProblem]]:
        """The documents at a path, and what is none, with why.

        Raises:
            InvalidRequest: what is no glob.
            LlmspellError: as reading.
        """
        files: list[File] = []
        skipped: list[RagProblem] = []
        fields = {
            "paths": [path],
            "beneath": list(beneath),
            "include": list(include),
            "exclude": list(exclude),
            "hidden": False,
            "largest_bytes": LARGEST_BYTES,
        }
        async for frame in self._frames("walk", path, fields):
            if frame["op"] == "files":
                files += [File(one["path"], one["size"]) for one in frame["files"]]
                skipped += [
                    RagProblem(source=one["path"], code="skipped", message=one["reason"], hint=None)
                    for one in frame["skipped"]
                ]
        return files, skipped

    async def read(self, wanted: Reading, cutting: Cutting, embedder: Embedder, known: str | None) -> Read:
        """Reads and cuts a document, unless its hash is `known`.

        Raises:
            InvalidRequest, Unsupported, NotFound, Forbidden: it can't be read.
            Timeout, OutOfMemory, WorkerCrashed: its worker was ended, or has ended.
            ModelFailure: the model failed that counts, or makes vectors.
        """
        fields: dict[str, Any] = {
            "name": wanted.name,
            "media_type": wanted.media_type,
            "chunking": {name: value for name, value in cutting._asdict().items() if name != "limit"},
            "limit": cutting.limit,
            "largest_bytes": wanted.limit_bytes or LARGEST_BYTES,
            "known": known,
        }
        if wanted.path is None:
            fields["data"] = wanted.data
        else:
            fields |= {"path": wanted.path, "beneath": list(wanted.beneath)}
        chunks: list[Chunk] = []
        facts: Frame = {}
        async for frame in self._frames("read", wanted.name, fields, embedder):
            if frame["op"] == "chunks":
                chunks += map(Chunk.from_content, frame["chunks"])
            elif frame["op"] == "done":
                facts = frame
        if facts["unchanged"]:
            return Read(facts["hash"], None)
        metadata = dict(facts["metadata"])
        if facts["pages"] is not None:
            metadata["pages"] = facts["pages"]
        content = Content(
            title=facts["title"],
            media_type=facts["media_type"],
            characters=facts["characters"],
            bytes=facts["bytes"],
            metadata=metadata,
            chunks=chunks,
            warnings=facts["warnings"],
        )
        return Read(facts["hash"], content)

    async def close(self) -> None:
        """Ends the workers."""
        await self._pool.close()

    async def _frames(
        self, op: str, name: str, fields: Mapping[str, Any], embedder: Embedder | None = None
    ) -> AsyncIterator[Frame]:
        """The frames that answer a call, the last included; its questions are answered."""
        async with self._pool.lease() as lease:
            try:
                call = lease.calls.open(op, **fields)
            except FrameTooLarge:
                raise InvalidRequest(f"{name} is too large to be sent", hint="divide the document") from None
            left_s = READ_WITHIN_S
            while True:
                began = asyncio.get_running_loop().time()
                try:
                    async with asyncio.timeout(left_s):
                        frame = await call.next()
                except TimeoutError:
                    raise Timeout(
                        f"{name} was read for {READ_WITHIN_S:g} s, and was ended",
                        hint="divide the document, or leave it out",
                        details={"timeout_s": READ_WITHIN_S},
                    ) from None
                left_s = max(0.0, left_s - (asyncio.get_running_loop().time() - began))
                if frame["op"] == "ask" and embedder is not None:
                    await _answer(call, frame, embedder)
                elif frame["op"] == EXITED:
                    raise WorkerCrashed(
                        f"the process that read {name} ended {ending(frame['status'])}",
                        hint=f"its log has more: {_LOG_NAME}; leave the document out",
                        details={"exit_status": frame["status"]},
                        retryable=False,
                    )
                elif frame["op"] == "error":
                    error = error_from_content(frame["error"])
                    if isinstance(error, OutOfMemory):
                        lease.spoil()  # What it holds by then is given back by its end alone.
                    raise error
                else:
                    yield frame
                    if frame["op"] == "done":
                        return


async def _answer(call: Call, frame: Frame, embedder: Embedder) -> None:
    texts: Sequence[str] = frame["texts"]
    try:
        if frame["what"] == "count":
            call.answer(values=await embedder.count(texts))
        else:
            vectors = await embedder.all_vectors(texts)
            call.answer(values=[vectors.of(place) for place in range(len(texts))])
    except LlmspellError as error:
        if is_of_text(error):
            raise
        raise ModelFailure(error) from None
