"""Calls about vectors alone: those that are kept by hash, and those of another model for a whole place."""

from __future__ import annotations

from collections.abc import Sequence

from llmspell_protocol.rag.places import Place
from llmspell_protocol.rag.record import Record

__all__ = [
    "KeepVectors",
    "ReplaceAbort",
    "ReplaceBegin",
    "ReplaceBegun",
    "ReplaceCommit",
    "ReplaceVectors",
    "Replaced",
    "VectorsKept",
    "VectorsOf",
]


class VectorsOf(Record):
    """Embeddings that are kept, by the hash of what was embedded. A tenant has those that it brought itself."""

    place: Place
    model: str
    dimension: int
    hashes: Sequence[str]


class VectorsKept(Record):
    """Those that are there: vectors in the order of `hashes`, which are in the order of the call's."""

    hashes: Sequence[str]
    vectors: bytes


class KeepVectors(Record):
    """Keeps embeddings; the ones that were used longest ago go where there are more than the settings allow."""

    place: Place
    model: str
    dimension: int
    hashes: Sequence[str]
    vectors: bytes


class ReplaceBegin(Record):
    """Begins to embed a place with another model. What an earlier replacement by the same model has brought is kept.

    Until `replace_commit` the place is searched, and may be written, with the old model.
    """

    place: Place
    model: str
    dimension: int


class ReplaceBegun(Record):
    """How many chunks have a new vector, and how many there are."""

    done: int
    total: int


class ReplaceVectors(Record):
    """New vectors of chunks by number; those of chunks that are gone are dropped."""

    place: Place
    numbers: Sequence[int]
    vectors: bytes


class ReplaceCommit(Record):
    """The place has the new model from here on; where chunks lack a vector nothing changes."""

    place: Place


class Replaced(Record):
    """How many chunks still lack a new vector; 0: the place has the new model."""

    lacking: int


class ReplaceAbort(Record):
    """Drops the new vectors."""

    place: Place
