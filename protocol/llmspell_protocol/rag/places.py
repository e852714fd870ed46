"""Where documents lie, and what is known of such a place."""

from __future__ import annotations

from typing import Literal

from llmspell_protocol.rag.record import Record

DEFAULT_COLLECTION = "default"


class Place(Record):
    """A collection of a tenant (empty: none) of an owner, who is a key's id. Places can't see each other."""

    owner: str
    tenant: str = ""
    collection: str = DEFAULT_COLLECTION

    def __hash__(self) -> int:  # type: ignore[override]
        return hash((self.owner, self.tenant, self.collection))


class Figures(Record):
    """A place and what is in it; times are seconds since 1970."""

    place: Place
    model: str
    dimension: int
    documents: int
    chunks: int
    tokens: int
    bytes: int
    """about what it takes of the database"""
    index_bytes: int
    """of the index's file"""
    memory_bytes: int
    """of the index, where it is open"""
    index: Literal["exact", "hnsw"]
    changed_at: float
    expires_at: float | None
    ttl_s: float | None
