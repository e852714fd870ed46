"""`rag_request`: one method an action, translated for the RAG service."""

from __future__ import annotations

from llmspell_kernel.area_handler import AreaHandler
from llmspell_kernel.request import Request
from llmspell_kernel.services.rag.service import RagService
from llmspell_protocol.areas.action import Empty
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
    RagModel,
    RagModelReply,
    RagPlace,
    RagRebuild,
    RagRebuildReply,
    RagSearch,
    RagSearchReply,
    RagStatsReply,
)


class RagHandler(AreaHandler):
    """Answers `rag_request`."""

    def __init__(self, rag: RagService) -> None:
        self._rag = rag

    async def ingest(self, request: Request, wanted: RagIngest) -> RagIngestReply:
        """Documents into a place."""
        return await self._rag.ingest(request, wanted)

    async def search(self, request: Request, wanted: RagSearch) -> RagSearchReply:
        """Passages for a question."""
        return await self._rag.search(request, wanted)

    async def ask(self, request: Request, wanted: RagAsk) -> RagAskReply:
        """An answer from passages."""
        return await self._rag.ask(request, wanted)

    async def list(self, request: Request, wanted: RagList) -> RagListReply:
        """A page of documents."""
        return await self._rag.list(request, wanted)

    async def collections(self, request: Request, wanted: RagCollections) -> RagCollectionsReply:
        """The asker's places."""
        return await self._rag.collections(request, wanted)

    async def stats(self, request: Request, wanted: RagPlace) -> RagStatsReply:
        """What is there, and what was done."""
        return await self._rag.stats(request, wanted)

    async def save(self, request: Request, wanted: Empty) -> RagStatsReply:
        """Writes indexes to the disk."""
        return await self._rag.save(request)

    async def model(self, request: Request, wanted: RagModel) -> RagModelReply:
        """What makes the vectors of a place."""
        return await self._rag.model(request, wanted)

    async def create(self, request: Request, wanted: RagCreate) -> RagCollection:
        """A place before anything is in it."""
        return await self._rag.create(request, wanted)

    async def rebuild(self, request: Request, wanted: RagRebuild) -> RagRebuildReply:
        """An index anew."""
        return await self._rag.rebuild(request, wanted)

    async def delete(self, request: Request, wanted: RagDelete) -> RagDeleteReply:
        """Some documents."""
        return await self._rag.delete(request, wanted)

    async def clear(self, request: Request, wanted: RagPlace) -> RagDeleteReply:
        """All of a place."""
        return await self._rag.clear(request, wanted)
