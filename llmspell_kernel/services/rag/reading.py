"""Files and texts to chunks, in reading workers: they are ended to cancel, and held to their time and memory.

A worker asks back for token counts, and for vectors where texts are cut by meaning. Knows one model; no places.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from llmspell_kernel.worker_pool import WorkerPool
from llmspell_protocol.worker_memory import TOOL_BYTES

_WORKER = "llmspell_rag.reading_worker"
_LOG_NAME = "rag-reading.log"
_WORKERS = 2
_READ_WITHIN_S = 300.0


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
    """What is to be read: a file, a text or bytes."""

    name: str
    path: str | None = None
    text: str | None = None
    data: bytes | None = None
    media_type: str | None = None
    limit_bytes: int | None = None


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

    async def close(self) -> None:
        """Ends the workers."""
        await self._pool.close()
