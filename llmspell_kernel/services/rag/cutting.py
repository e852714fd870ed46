"""How a document is cut, and what its hash is of: what changes where it has to be written anew."""

from __future__ import annotations

import asyncio
import hashlib
import os
from typing import TYPE_CHECKING

from llmspell_kernel.services.rag.embedding import Embedder
from llmspell_kernel.services.rag.reading import Cutting, Reading
from llmspell_protocol.areas.rag import RagIngest
from llmspell_protocol.errors import InvalidRequest, NotFound

if TYPE_CHECKING:
    from llmspell_profiles.schema.rag import RagSettings

_BLOCK = 1 << 20


async def cutting_of(wanted: RagIngest, settings: RagSettings, embedder: Embedder) -> Cutting:
    """How documents are cut, by the request and by the settings; no chunk is longer than the model reads.

    Raises:
        InvalidRequest: the sizes fit neither the settings nor each other.
    """
    table, own = settings.chunking, wanted.chunking
    size = table.chunk_size if own is None or own.chunk_size is None else own.chunk_size
    if not 1 <= size <= table.max_chunk_size:
        raise InvalidRequest(
            f"chunking: chunk_size {size} is out of range (1 to {table.max_chunk_size}, rag.chunking.max_chunk_size)"
        )
    overlap = own.overlap if own is not None else None
    if overlap is None:
        overlap = min(table.overlap, size // 2)
    elif not 0 <= overlap < size:
        raise InvalidRequest(f"chunking: overlap {overlap} must be less than chunk_size {size}")
    return Cutting(
        strategy=(own.strategy if own is not None else None) or table.strategy,
        chunk_size=size,
        overlap=overlap,
        min_chunk_size=min(table.min_chunk_size, size),
        max_chunk_size=table.max_chunk_size,
        limit=await embedder.longest_chunk(table.max_chunk_size),
    )


async def content_digest(reading: Reading) -> str:
    """The SHA-256 of what is to be read.

    Raises:
        InvalidRequest, NotFound: the path is no file, or can't be read.
    """
    if reading.path is not None:
        return await asyncio.to_thread(_file_digest, reading.path)
    data = reading.data if reading.data is not None else (reading.text or "").encode()
    if len(data) < _BLOCK:
        return hashlib.sha256(data).hexdigest()
    return await asyncio.to_thread(lambda: hashlib.sha256(data).hexdigest())


def _file_digest(path: str) -> str:
    digest = hashlib.sha256()
    if not os.path.isfile(path):
        raise InvalidRequest(f"{path} is no file", details={"path": path})
    try:
        with open(path, "rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
    except OSError as error:
        raise NotFound(f"{path} can't be read: {error.strerror}", details={"path": path}) from None
    return digest.hexdigest()
