"""Documents that are found again, and answers from them. Knows the requests that its work is for."""

from __future__ import annotations

from llmspell_kernel.request import Request
from llmspell_protocol.areas.rag import (
    RagAsk,
    RagAskReply,
    RagCollection,
    RagCollections,
    RagCollectionsReply,
    RagCreate,
    RagDelete,
    RagDeleteReply,
    RagIngest,
    RagIngestReply,
    RagList,
    RagListReply,
    RagPlace,
    RagRebuild,
    RagRebuildReply,
    RagSearch,
    RagSearchReply,
    RagStatsReply,
)
from llmspell_protocol.errors import Unsupported


class RagService:
    """Places with documents; belongs to one event loop."""

    async def ingest(self, request: Request, wanted: RagIngest) -> RagIngestReply:
        """Documents into a place."""
        raise Unsupported("rag")

    async def search(self, request: Request, wanted: RagSearch) -> RagSearchReply:
        """Passages for a question."""
        raise Unsupported("rag")

    async def ask(self, request: Request, wanted: RagAsk) -> RagAskReply:
        """An answer from passages."""
        raise Unsupported("rag")

    async def list(self, request: Request, wanted: RagList) -> RagListReply:
        """A page of documents."""
        raise Unsupported("rag")

    async def collections(self, request: Request, wanted: RagCollections) -> RagCollectionsReply:
        """The asker's places."""
        raise Unsupported("rag")

    async def stats(self, request: Request, wanted: RagPlace) -> RagStatsReply:
        """What is there, and what was done."""
        raise Unsupported("rag")

    async def save(self, request: Request) -> RagStatsReply:
        """Writes indexes to the disk."""
        raise Unsupported("rag")

    async def create(self, request: Request, wanted: RagCreate) -> RagCollection:
        """A place before anything is in it."""
        raise Unsupported("rag")

    async def rebuild(self, request: Request, wanted: RagRebuild) -> RagRebuildReply:
        """An index anew."""
        raise Unsupported("rag")

    async def delete(self, request: Request, wanted: RagDelete) -> RagDeleteReply:
        """Some documents."""
        raise Unsupported("rag")

    async def clear(self, request: Request, wanted: RagPlace) -> RagDeleteReply:
        """All of a place."""
        raise Unsupported("rag")
