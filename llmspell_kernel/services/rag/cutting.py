"""How documents are cut, and what of them changes where they have to be written anew beside their content."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from llmspell_kernel.services.rag.embedding import Embedder
from llmspell_kernel.services.rag.reading import Cutting
from llmspell_kernel.services.rag.sources import Source
from llmspell_protocol.areas.rag import RagIngest
from llmspell_protocol.errors import InvalidRequest

if TYPE_CHECKING:
    from llmspell_profiles.schema.rag import RagSettings

_LEAST_PART = 4


def cutting_of(wanted: RagIngest, settings: RagSettings, embedder: Embedder) -> Cutting:
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
        # A size that is wanted goes before a smallest one that would be larger.
        min_chunk_size=min(table.min_chunk_size, size // _LEAST_PART),
        max_chunk_size=table.max_chunk_size,
        limit=embedder.longest_chunk(table.max_chunk_size),
    )


def about_digest(source: Source, wanted: RagIngest) -> str:
    """A short hash of what is written with a document beside its content."""
    given = source.document
    about = {
        "title": None if given is None else given.title,
        "metadata": {**wanted.metadata, **({} if given is None else given.metadata)},
    }
    return hashlib.sha256(json.dumps(about, sort_keys=True, default=str).encode()).hexdigest()[:16]
