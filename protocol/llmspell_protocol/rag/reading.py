"""Documents that are read and cut: what the kernel asks its reading worker, and what that tells (see its module)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any, Literal

from llmspell_protocol.rag.record import Record

Strategy = Literal["auto", "sliding_window", "sentence", "paragraph", "markdown", "semantic", "code"]


class Chunking(Record):
    """How a document is cut; sizes in tokens of the embedding model."""

    strategy: Strategy = "auto"
    chunk_size: int = 512
    """what a chunk is filled to"""
    overlap: int = 64
    """at most so much of a chunk's end is the beginning of the next one too"""
    min_chunk_size: int = 100
    """below this a chunk goes on, over a heading if need be; the last of a document may be shorter"""
    max_chunk_size: int = 2048
    """a sentence, a line, a record that is longer than `chunk_size` stays whole up to this"""


class Read(Record):
    """One document to be read: by its path, or by its bytes."""

    name: str
    """what it is called in messages; its end says its kind where nothing else does"""
    path: str | None = None
    """absolute"""
    beneath: Sequence[str] = ()
    """paths: what may be opened is one of them, or below one of them; `*` is everything"""
    data: bytes | None = None
    media_type: str | None = None
    """as its sender said, with parameters or without"""
    chunking: Chunking = field(default_factory=Chunking)
    limit: int
    """the most tokens of a chunk"""
    largest_bytes: int | None = None
    known: str | None = None
    """the hash by which it is known: the same again is neither read nor cut"""


class Unchanged(Record):
    """The end of a `read` whose hash was known."""

    hash: str
    bytes: int
    unchanged: bool = True


class Facts(Record):
    """The end of a `read`: what is known of the document."""

    hash: str
    """changes with its bytes, with what they are taken for, and with how they are read and cut"""
    bytes: int
    unchanged: bool = False
    media_type: str
    title: str | None
    characters: int
    """of its text"""
    pages: int | None
    chunks: int
    tokens: int
    """of all chunks together, what overlaps twice"""
    strategy: Strategy
    chunk_size: int
    overlap: int
    """as they were for this model's limit"""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    warnings: Sequence[str] = ()


class Walk(Record):
    """Directories to be looked through, and single files. Globs are as in `.gitignore`."""

    paths: Sequence[str]
    """absolute"""
    beneath: Sequence[str]
    """as in `Read`"""
    include: Sequence[str] = ()
    """none: every file whose kind is known"""
    exclude: Sequence[str] = ()
    hidden: bool = False
    largest_bytes: int | None = None


class Found(Record):
    """A file that is a document by its name."""

    path: str
    size: int
    """bytes"""
    mtime_ns: int
    media_type: str


class Skipped(Record):
    """A file or directory that is not taken, and why."""

    path: str
    reason: str
