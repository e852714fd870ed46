"""From the worker's records to those of the protocol."""

from __future__ import annotations

from collections.abc import Sequence

from llmspell_kernel.services.rag.embedding import Made
from llmspell_kernel.times import time_text
from llmspell_protocol.areas.rag import RagCollection, RagDeleteReply, RagHit, RagListed, RagStatsReply
from llmspell_protocol.content import to_content
from llmspell_protocol.rag.documents import Hit, Listed
from llmspell_protocol.rag.ops import Deleted, Statistics
from llmspell_protocol.rag.places import Figures


def hit_of(hit: Hit) -> RagHit:
    """A passage."""
    return RagHit(**{**to_content(hit), "score": round(hit.score, 6)})


def listed_of(one: Listed) -> RagListed:
    """A document."""
    return RagListed(
        id=one.id,
        title=one.title,
        source=one.source,
        media_type=one.media_type,
        chunks=one.chunks,
        tokens=one.tokens,
        characters=one.characters,
        bytes=one.bytes,
        added_at=time_text(one.added_at),
        expires_at=_text(one.expires_at),
        metadata=one.metadata,
    )


def collection_of(figures: Figures) -> RagCollection:
    """A place."""
    return RagCollection(
        tenant=figures.place.tenant or None,
        collection=figures.place.collection,
        documents=figures.documents,
        chunks=figures.chunks,
        tokens=figures.tokens,
        bytes=figures.bytes,
        index_bytes=figures.index_bytes,
        memory_bytes=figures.memory_bytes,
        model=figures.model,
        dimension=figures.dimension,
        index=figures.index,
        changed_at=time_text(figures.changed_at),
        expires_at=_text(figures.expires_at),
    )


def stats_of(counted: Statistics, made: Made, searches: int, places: Sequence[Figures] | None = None) -> RagStatsReply:
    """What an owner has, or (`places`) what is in these, and what was done for it."""
    return RagStatsReply(
        documents=counted.documents if places is None else sum(one.documents for one in places),
        chunks=counted.chunks if places is None else sum(one.chunks for one in places),
        vectors=counted.vectors if places is None else sum(one.chunks for one in places),
        bytes=counted.bytes if places is None else sum(one.bytes for one in places),
        collections=counted.places if places is None else len(places),
        embeddings=made.vectors,
        embedding_tokens=made.tokens,
        cached=counted.cached,
        searches=searches,
    )


def deleted_of(gone: Deleted) -> RagDeleteReply:
    """What was removed."""
    return RagDeleteReply(documents=gone.documents, chunks=gone.chunks, bytes_freed=gone.bytes_freed)


def _text(seconds: float | None) -> str | None:
    return None if seconds is None else time_text(seconds)
