"""Documents read by a real worker process of a pool, as a kernel does it: chunks, facts, and answers to questions."""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from llmspell_kernel.worker_pool import WorkerPool
from llmspell_protocol.calls import Call
from llmspell_protocol.errors import error_from_content
from llmspell_protocol.frames import Frame
from tests.support.token_counts import Counted, words

CHUNKING: Mapping[str, Any] = {
    "strategy": "auto",
    "chunk_size": 60,
    "overlap": 10,
    "min_chunk_size": 10,
    "max_chunk_size": 200,
}


@dataclass
class Reading:
    """What has come of a call."""

    chunks: list[Mapping[str, Any]] = field(default_factory=list)
    frames: list[Frame] = field(default_factory=list)
    last: Frame = field(default_factory=dict)
    asked: int = 0


def pool(directory: Path, *, memory_bytes: int = 1 << 30) -> WorkerPool:
    """A pool of one process."""
    module = "llmspell_rag.reading_worker"
    return WorkerPool(module, log_path=directory / "reading.log", size=1, memory_bytes=memory_bytes, kept=1)


async def read(workers: WorkerPool, *, within_s: float = 120.0, **fields: Any) -> Reading:
    """Has a document read; raises the worker's error, and `TimeoutError` when it takes longer than it may."""
    given = {"media_type": None, "chunking": CHUNKING, "limit": 200, "largest_bytes": 50_000_000, "known": None}
    async with workers.lease() as lease, asyncio.timeout(within_s):
        call = lease.calls.open("read", **{**given, **fields})
        return await answered(call)


async def walked(workers: WorkerPool, paths: Sequence[Path], **fields: Any) -> Reading:
    """Has directories looked through."""
    given = {"beneath": [str(path) for path in paths], "include": [], "exclude": [], "hidden": False}
    async with workers.lease() as lease, asyncio.timeout(120):
        call = lease.calls.open("walk", paths=[str(path) for path in paths], **{**given, **fields})
        return await answered(call)


async def answered(call: Call, *, until_asked: int | None = None) -> Reading:
    """Goes through the frames of a call and answers its questions; `until_asked`: but not that one."""
    found = Reading()
    measures = Counted(words, 200)
    while True:
        frame = await call.next()
        found.frames.append(frame)
        if frame["op"] == "ask":
            found.asked += 1
            if found.asked == until_asked:
                return found
            if frame["what"] == "count":
                call.answer(values=measures.count(frame["texts"]))
            else:
                call.answer(values=[array("f", one).tobytes() for one in measures.embed(frame["texts"])])
        elif frame["op"] == "chunks":
            found.chunks += frame["chunks"]
        elif frame["op"] == "error":
            raise error_from_content(frame["error"])
        elif frame["op"] in ("done", "exited"):
            found.last = frame
            return found
