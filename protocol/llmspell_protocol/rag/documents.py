"""Documents and their chunks, as they go into the database and come out of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any

from llmspell_protocol.rag.record import Record


class Document(Record):
    """A document that is written; the same `id` takes the place of what was there."""

    id: str
    hash: str
    """of its bytes, of how it is cut and read: the same hash needs no second look"""
    source: str | None = None
    """a path, a URL"""
    title: str | None = None
    media_type: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    expires_at: float | None = None
    """seconds since 1970; None: as its place, or never"""
    characters: int = 0
    bytes: int = 0
    """of what it was read from"""


class Chunk(Record):
    """A piece of a document's text: characters `start` to `end` of it."""

    ordinal: int
    text: str
    start: int
    end: int
    tokens: int
    page: int | None = None
    line: int | None = None
    section: str | None = None


class Known(Record):
    """A document that is there."""

    id: str
    hash: str
    source: str | None
    chunks: int
    tokens: int


class Listed(Record):
    """A document that is there, with all that is known of it; times are seconds since 1970."""

    id: str
    hash: str
    source: str | None
    title: str | None
    media_type: str | None
    metadata: Mapping[str, Any]
    chunks: int
    tokens: int
    characters: int
    bytes: int
    added_at: float
    changed_at: float
    expires_at: float | None


class ChunkText(Record):
    """A chunk by its number in the database, to embed it anew."""

    number: int
    text: str
    title: str | None
    section: str | None


class Hit(Record):
    """A chunk that was found."""

    id: str
    """DOCUMENT#NUMBER"""
    document: str
    title: str | None
    source: str | None
    text: str
    score: float
    """0 to 1"""
    metadata: Mapping[str, Any]
    page: int | None
    section: str | None
    line: int | None
    start: int
    end: int
    tokens: int
    by_words: int | None
    by_vectors: int | None


Sources = Sequence[str]
"""Paths and URLs. Of a directory's path, all that lies below it."""
