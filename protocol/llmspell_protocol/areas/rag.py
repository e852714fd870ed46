"""`rag_request`: documents cut into passages, found again by words and by meaning, and answers from them.

A place is a tenant's collection; clients with different keys see nothing of each other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any, Literal

from llmspell_protocol.areas.action import Action, Empty
from llmspell_protocol.structs import Struct

Method = Literal["hybrid", "vectors", "words"]
Strategy = Literal["auto", "sliding_window", "sentence", "paragraph", "markdown", "semantic", "code"]


class RagPlace(Struct):
    """Where documents lie. `scope` with `scope_id` is the collection `SCOPE_ID`; none of them is `default`.

    A collection within a scope is `SCOPE_ID/COLLECTION`; the scope `global` is no scope.
    """

    tenant: str | None = None
    collection: str | None = None
    scope: str | None = None
    scope_id: str | None = None


class RagChunking(Struct):
    """How documents are cut; what is not given is the settings'. Sizes in tokens of the embedding model."""

    strategy: Strategy | None = None
    chunk_size: int | None = None
    overlap: int | None = None


class RagDocument(Struct):
    """A text to be found again; the same id takes the place of what was there."""

    text: str
    id: str | None = None
    title: str | None = None
    media_type: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)


class RagIngest(RagPlace):
    """Documents, files and directories, and pages of the web, into a place; unchanged ones cost a look.

    Paths are the kernel's, absolute. With `sync`, documents whose file below one of the paths is gone go as well.
    """

    documents: Sequence[RagDocument] = ()
    paths: Sequence[str] = ()
    urls: Sequence[str] = ()
    include: Sequence[str] = ()
    """globs; nothing: all that can be read"""
    exclude: Sequence[str] = ()
    sync: bool = True
    force: bool = False
    """reads unchanged ones again; vectors of texts that the cache has are taken from there"""
    model: str | None = None
    """the embedding model of a new place; another one than an existing place's embeds everything again"""
    provider: str | None = None
    """whose embedding model a new place gets, where none is named"""
    chunking: RagChunking | None = None
    ttl_s: float | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """of every document of this request"""
    progress: bool = True


class RagProgress(Struct):
    """How far an ingest, a rebuild or an answer is."""

    stage: Literal["looking", "reading", "embedding", "writing", "indexing", "searching", "answering"]
    current: str | None
    """the document"""
    documents_done: int
    documents: int | None
    """None: not yet known"""
    chunks_done: int
    bytes_done: int
    bytes: int | None
    rate: float | None
    """chunks a second"""
    eta_s: float | None
    warning: str | None = None


class RagProblem(Struct):
    """A document that could not be taken, and why; the others were."""

    source: str
    code: str
    message: str
    hint: str | None


class RagIngestReply(Struct):
    """What has become of the documents."""

    ids: Sequence[str]
    """of all documents that are there now, in the order in which they were given"""
    added: int
    changed: int
    unchanged: int
    removed: int
    skipped: Sequence[RagProblem]
    """files that are no documents"""
    failed: Sequence[RagProblem]
    chunks: int
    """written"""
    vectors: int
    """computed; what the cache had is not counted"""
    tokens: int
    model: str
    dimension: int
    warnings: Sequence[str]
    duration_ms: float


class RagSearch(RagPlace):
    """The passages of a place that fit a question best."""

    query: str
    k: int = 5
    method: Method = "hybrid"
    threshold: float | None = None
    """0 to 1: passages below this similarity are left out"""
    filter: Mapping[str, Any] = field(default_factory=dict)
    """metadata that must be equal; a list is any of it"""
    diversity: float | None = None
    """0 to 1: how much passages that say the same are passed over (MMR); None: not at all"""
    rerank: str | None = None
    """a model that reads question and passage together"""


class RagHit(Struct):
    """A passage."""

    id: str
    """of the chunk: DOCUMENT#NUMBER"""
    document: str
    title: str | None
    source: str | None
    text: str
    score: float
    """0 to 1, the best first; how near the meaning is, or how well the words fit where there is no vector"""
    metadata: Mapping[str, Any]
    page: int | None
    section: str | None
    line: int | None
    start: int
    end: int
    """characters of the document's text"""
    tokens: int
    by_words: int | None
    by_vectors: int | None
    """its rank by either way, from 1; None: it was not found so"""


class RagSearchReply(Struct):
    """The passages; fewer than `k` where no more fit."""

    hits: Sequence[RagHit]
    count: int
    method: Method
    model: str | None
    exact: bool
    """whether every vector was compared"""
    warnings: Sequence[str]
    duration_ms: float


class RagAsk(RagSearch):
    """A question that a chat model answers from the passages alone."""

    k: int = 8
    chat_model: str | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    stream: bool = True
    """sends the answer as it comes"""
    progress: bool = True


class RagDelta(Struct):
    """Text of the answer, as it comes."""

    text: str


class RagCitation(Struct):
    """A passage that the answer names as [number]."""

    number: int
    cited: bool
    hit: RagHit


class RagAskReply(Struct):
    """The answer; without any passage that fits there is none, and no model was asked."""

    answer: str | None
    found: bool
    citations: Sequence[RagCitation]
    left_out: int
    """passages that did not fit the context"""
    chat_model: str | None
    usage: Mapping[str, Any] | None
    warnings: Sequence[str]
    duration_ms: float


class RagList(RagPlace):
    """A page of the documents of a place, by id: those behind `after`."""

    after: str | None = None
    limit: int = 100


class RagListed(Struct):
    """A document."""

    id: str
    title: str | None
    source: str | None
    media_type: str | None
    chunks: int
    tokens: int
    characters: int
    bytes: int
    added_at: str
    expires_at: str | None
    metadata: Mapping[str, Any]


class RagListReply(Struct):
    """Some documents, and where the next ones begin."""

    documents: Sequence[RagListed]
    count: int
    after: str | None


class RagCollections(Struct):
    """All places of the asker; with `tenant`, that tenant's."""

    tenant: str | None = None


class RagCollection(Struct):
    """A place and what is in it."""

    tenant: str | None
    collection: str
    documents: int
    chunks: int
    tokens: int
    bytes: int
    """on the disk"""
    index_bytes: int
    memory_bytes: int
    """of the index, where it is open"""
    model: str
    dimension: int
    index: Literal["exact", "hnsw"]
    changed_at: str
    expires_at: str | None


class RagCollectionsReply(Struct):
    """The places."""

    collections: Sequence[RagCollection]
    count: int
    path: str | None
    """None: in memory, gone with the kernel"""


class RagStatsReply(Struct):
    """What is there, and what this kernel has done."""

    documents: int
    chunks: int
    vectors: int
    bytes: int
    collections: int
    embeddings: int
    embedding_tokens: int
    cached: int
    """embeddings that the cache had"""
    searches: int


class RagModel(RagPlace):
    """The embedding model of a place, or the one that it would get."""

    model: str | None = None
    provider: str | None = None


class RagModelReply(Struct):
    """A model that makes vectors."""

    model: str
    dimension: int | None
    """None: it is known when the model has made the first"""
    warnings: Sequence[str]


class RagCreate(RagPlace):
    """A place before anything is in it; with `ttl_s`, all of it goes that long after its last change."""

    model: str | None = None
    provider: str | None = None
    ttl_s: float | None = None


class RagDelete(RagPlace):
    """Documents by id, by source (a path or a directory of paths, a URL), or by metadata; at least one of them."""

    ids: Sequence[str] = ()
    sources: Sequence[str] = ()
    filter: Mapping[str, Any] = field(default_factory=dict)


class RagDeleteReply(Struct):
    """What was removed; the file on the disk is as much smaller."""

    documents: int
    chunks: int
    bytes_freed: int


class RagRebuild(RagPlace):
    """Makes the index anew from the database; with `model`, embeds everything again with that."""

    model: str | None = None
    progress: bool = True


class RagRebuildReply(Struct):
    """What was made."""

    chunks: int
    vectors: int
    model: str
    dimension: int
    index: Literal["exact", "hnsw"]
    duration_ms: float


_DOCUMENT = {"documents": [{"id": "tides", "text": "High water comes twice a day."}], "model": "mock/embed"}

ACTIONS: Mapping[str, Action] = {
    "ingest": Action(RagIngest, RagIngestReply, right="execute", example=_DOCUMENT, progress=(RagProgress,)),
    "search": Action(RagSearch, RagSearchReply, right="execute", example={"query": "When is high water?"}),
    "ask": Action(
        RagAsk,
        RagAskReply,
        right="infer",
        example={"query": "When is high water?", "chat_model": "mock/chat"},
        progress=(RagProgress,),
        delta=RagDelta,
    ),
    "list": Action(RagList, RagListReply, right="execute", example={}),
    "collections": Action(RagCollections, RagCollectionsReply, right="execute", example={}),
    "stats": Action(RagPlace, RagStatsReply, right="execute", example={}),
    "save": Action(Empty, RagStatsReply, right="execute", example={}),
    "model": Action(RagModel, RagModelReply, right="execute", example={"model": "mock/embed"}),
    "create": Action(RagCreate, RagCollection, right="execute", example={"collection": "notes", "model": "mock/embed"}),
    "rebuild": Action(RagRebuild, RagRebuildReply, right="execute", example={}, progress=(RagProgress,)),
    "delete": Action(RagDelete, RagDeleteReply, right="execute", example={"ids": ["tides"]}),
    "clear": Action(RagPlace, RagDeleteReply, right="execute", example={}),
}
