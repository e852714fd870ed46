"""The calls of the collections worker: what each frame carries, and what answers it.

A call is `{op, id, …}` with the fields of its record, and `done {id, …}` has those of its reply. Several may be open at
a time: reads run beside each other and beside one write, writes in the order in which they came. `cancel {id}` ends a
call early with the error `cancelled`; a write that is committed stays. The first call is `open`.

Vectors are float32, little-endian, one behind the other: `len(vectors) == 4 * dimension * number`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any, Literal, NamedTuple

from llmspell_protocol.rag import embedding
from llmspell_protocol.rag.documents import Chunk, ChunkText, Document, Hit, Known, Listed
from llmspell_protocol.rag.embedding import *  # noqa: F403 - they are calls as the others
from llmspell_protocol.rag.places import Figures, Place
from llmspell_protocol.rag.record import Record
from llmspell_protocol.rag.settings import IndexSettings

Method = Literal["hybrid", "vectors", "words"]
WORKER = "llmspell_rag.worker"
"""The module that is the worker."""


class Open(Record):
    """Opens the database, or one in memory (`path` None); makes or migrates it if need be."""

    path: str | None
    settings: IndexSettings = field(default_factory=IndexSettings)


class Describe(Record):
    """Is there such a place, and what is in it?"""

    place: Place


class Described(Record):
    """A place; None: there is none."""

    figures: Figures | None


class Places(Record):
    """All places of an owner; with `tenant`, that tenant's (empty: those without one)."""

    owner: str
    tenant: str | None = None


class PlacesThere(Record):
    """The places, by tenant and collection."""

    places: Sequence[Figures]


class Create(Record):
    """Makes a place; one that is there with the same model and dimension gets the ttl."""

    place: Place
    model: str
    dimension: int
    ttl_s: float | None = None
    """all of it goes this long after its last change"""


class AskKnown(Record):
    """Which documents are there: by id, by source, and all whose source is a path of `below` or lies below one.

    A page of them, by id: those behind `after`.
    """

    place: Place
    ids: Sequence[str] = ()
    sources: Sequence[str] = ()
    below: Sequence[str] = ()
    after: str = ""
    limit: int = 5_000


class AnswerKnown(Record):
    """Those that are there and have not expired, each once, by id; `after` None: there are no more."""

    documents: Sequence[Known]
    after: str | None = None


class Begin(Record):
    """Begins a document of an existing place. `write` is a number of the caller's, unused by another open write.

    Nothing is seen of it before `commit`.
    """

    place: Place
    write: int
    model: str
    dimension: int
    document: Document


class Add(Record):
    """Chunks of a begun document, with a vector each. What it refuses ends the write: only `abort` is left."""

    write: int
    chunks: Sequence[Chunk]
    vectors: bytes


class Commit(Record):
    """Writes the begun document in one transaction, in place of the one with its id. It is on the disk with the reply.

    A document without any chunk may be committed as well.
    """

    write: int


class Committed(Record):
    """What was written and what went."""

    replaced: bool
    chunks: int
    chunks_removed: int


class Abort(Record):
    """Drops a begun document; what was there before stays. Nothing for a write that isn't open."""

    write: int


class Nothing(Record):
    """It is done."""


class Search(Record):
    """The chunks of a place that fit best. `vector` is needed by every method but `words`."""

    place: Place
    query: str
    vector: bytes | None = None
    model: str | None = None
    """the vector's; None: not checked"""
    k: int = 5
    method: Method = "hybrid"
    threshold: float | None = None
    filter: Mapping[str, Any] = field(default_factory=dict)
    """metadata that must be equal; a list is any of it; `a.b` is the key b of the map a"""
    diversity: float | None = None
    candidates: int | None = None
    """how many of each way are looked at before they are fused; None: by `k`"""


class Found(Record):
    """The best chunks, the best first. Of a place that isn't there, nothing."""

    hits: Sequence[Hit]
    exact: bool
    """whether every vector was compared"""
    model: str | None
    warnings: Sequence[str] = ()


class ListDocuments(Record):
    """A page of the documents, by id: those behind `after`."""

    place: Place
    after: str | None = None
    limit: int = 100


class DocumentsThere(Record):
    """Some documents; `after` None: there are no more."""

    documents: Sequence[Listed]
    after: str | None


class Delete(Record):
    """Removes documents: by id, by source (of a directory all below it), by metadata; what any of them names."""

    place: Place
    ids: Sequence[str] = ()
    sources: Sequence[str] = ()
    filter: Mapping[str, Any] = field(default_factory=dict)


class Clear(Record):
    """Removes a place with all that is in it; the next `create` may give it another model."""

    place: Place


class Expire(Record):
    """Removes everywhere what has expired."""


class Deleted(Record):
    """What went, and by how much less the database and the files of its indexes need for it."""

    documents: int
    chunks: int
    bytes_freed: int


class Rebuild(Record):
    """Makes the index anew from the database. Progress: `{done, total}` vectors."""

    place: Place


class Rebuilt(Record):
    """The place with its new index."""

    figures: Figures


class Texts(Record):
    """A page of a place's chunks, by number: those behind `after`; `lacking`: those that `replace` has no vector of."""

    place: Place
    after: int = 0
    limit: int = 100
    lacking: bool = False


class TextsThere(Record):
    """Some chunks; `after` None: there are no more. `remaining` counts those from this page on."""

    chunks: Sequence[ChunkText]
    after: int | None
    remaining: int


class Prepare(Record):
    """A search with a vector will come: loads the libraries that it needs, and opens the index."""

    place: Place


class Save(Record):
    """Saves every index that has changed."""


class Stats(Record):
    """What an owner has, all of it or a place's; `searches` and `cached` count since the worker began."""

    owner: str
    place: Place | None = None


class Statistics(Record):
    """The counts. `bytes` is about what it takes of the database."""

    documents: int
    chunks: int
    vectors: int
    tokens: int
    bytes: int
    places: int
    embeddings: int
    """kept by hash"""
    cached: int
    """of those, asked for and found"""
    searches: int


class Op(NamedTuple):
    """A call: the record of its frame, that of its answer, and whether it writes."""

    request: type[Record]
    reply: type[Record]
    writes: bool


OPS: Mapping[str, Op] = {
    "open": Op(Open, Nothing, True),
    "describe": Op(Describe, Described, False),
    "places": Op(Places, PlacesThere, False),
    "create": Op(Create, Described, True),
    "known": Op(AskKnown, AnswerKnown, False),
    "begin": Op(Begin, Nothing, True),
    "add": Op(Add, Nothing, True),
    "commit": Op(Commit, Committed, True),
    "abort": Op(Abort, Nothing, True),
    "vectors_of": Op(embedding.VectorsOf, embedding.VectorsKept, True),
    "keep_vectors": Op(embedding.KeepVectors, Nothing, True),
    "prepare": Op(Prepare, Nothing, False),
    "search": Op(Search, Found, False),
    "list": Op(ListDocuments, DocumentsThere, False),
    "delete": Op(Delete, Deleted, True),
    "clear": Op(Clear, Deleted, True),
    "expire": Op(Expire, Deleted, True),
    "rebuild": Op(Rebuild, Rebuilt, True),
    "texts": Op(Texts, TextsThere, False),
    "replace_begin": Op(embedding.ReplaceBegin, embedding.ReplaceBegun, True),
    "replace_vectors": Op(embedding.ReplaceVectors, Nothing, True),
    "replace_commit": Op(embedding.ReplaceCommit, embedding.Replaced, True),
    "replace_abort": Op(embedding.ReplaceAbort, Nothing, True),
    "save": Op(Save, Nothing, True),
    "stats": Op(Stats, Statistics, False),
}
