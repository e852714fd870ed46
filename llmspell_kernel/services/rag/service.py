"""Documents that are found again, and answers from them: the services' side of `rag_request`.

It orchestrates: reading workers cut documents, models make vectors, the collections worker keeps and finds them.
Knows the requests that its work is for.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmspell_kernel.request import Request
from llmspell_kernel.services.models import ModelsService
from llmspell_kernel.services.rag.collections import Collections
from llmspell_kernel.services.rag.contents import Contents
from llmspell_kernel.services.rag.embedders import Embedders
from llmspell_kernel.services.rag.embedding import Embedder
from llmspell_kernel.services.rag.index_settings import database_path, index_settings
from llmspell_kernel.services.rag.places import demand_tenant, demand_ttl, place_of
from llmspell_kernel.services.rag.progress import Progress
from llmspell_kernel.services.rag.reading import Reader
from llmspell_kernel.services.rag.records import collection_of, deleted_of, hit_of, listed_of, stats_of
from llmspell_kernel.services.rag.reembedding import reembed, told_of_change
from llmspell_kernel.services.rag.searching import Result, Searches, demand_search
from llmspell_kernel.services.rag.state import RagState, state_of
from llmspell_kernel.services.rag.sweeping import Sweeping
from llmspell_kernel.services.rag.watching import Operation, Watch
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
from llmspell_protocol.content import to_content
from llmspell_protocol.errors import ConfigError, InvalidRequest, NotFound
from llmspell_protocol.rag.ops import (
    Clear,
    Create,
    Delete,
    Deleted,
    Describe,
    Described,
    DocumentsThere,
    ListDocuments,
    Nothing,
    Places,
    PlacesThere,
    Rebuild,
    Rebuilt,
    Save,
    Statistics,
    Stats,
)
from llmspell_protocol.rag.places import Figures, Place

if TYPE_CHECKING:
    from llmspell_kernel.services.tools.service import ToolsService
    from llmspell_profiles.schema.rag import RagSettings
    from llmspell_profiles.schema.settings import Settings

_MOST_LISTED = 1000


class RagService:
    """Places with documents; belongs to one event loop. `home` is LLMSPELL_HOME."""

    def __init__(
        self,
        settings: Callable[[], Settings],
        home: Path,
        log_directory: Path,
        models: Callable[[], ModelsService],
        tools: Callable[[], ToolsService],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._of_kernel = settings
        self._models = models
        self._tools = tools
        self._clock = clock
        self._collections = Collections(
            log_directory, lambda: (database_path(self._settings(), home), index_settings(self._settings()))
        )
        self._reader = Reader(log_directory)
        self._contents = Contents()
        self._searches = Searches(models, self._collections, self._settings)
        self.watch = Watch(self._settings)
        self._embedders = Embedders(models, self._settings, self._collections.memory_bytes)
        self._sweeping = Sweeping(self._collections)
        self._asked: dict[str, int] = {}

    def _settings(self) -> RagSettings:
        return self._of_kernel().rag

    # ## Taking in

    async def ingest(self, request: Request, wanted: RagIngest) -> RagIngestReply:
        """Documents into a place.

        Raises:
            InvalidRequest, NotFound, Forbidden: what is wanted can't be.
            ConfigError: there is no model for vectors; the hint says what to pull.
            LlmspellError: as `Ingest.run`.
        """
        async with self._operation(request, "ingest", wanted) as (place, done):
            demand_ttl(wanted.ttl_s)
            figures = await self._figures(place)
            embedder, warnings = await self._embedders.model_of(request, figures, wanted.model, wanted.provider)
            if figures is not None and embedder.model.name != figures.model:
                progress = Progress(request, tells=wanted.progress)
                text = told_of_change(figures, embedder)
                progress.tell("embedding", warning=text)
                await self._reembed(place, embedder, progress)
                warnings = (*warnings, text)
            # A search needs nothing of it.
            from llmspell_kernel.services.rag.ingest import Ingest

            work = Ingest(
                request,
                wanted,
                place,
                collections=self._collections,
                embedder=embedder,
                reader=self._reader,
                tools=self._tools,
                contents=self._contents,
                settings=self._settings,
                watch=self.watch,
                warnings=warnings,
            )
            reply = await work.run()
            done.figures |= {
                "documents": reply.added + reply.changed,
                "chunks": reply.chunks,
                "vectors": reply.vectors,
                "failed": len(reply.failed),
            }
            return reply

    async def create(self, request: Request, wanted: RagCreate) -> RagCollection:
        """A place before anything is in it; one that is there gets the ttl."""
        async with self._operation(request, "create", wanted) as (place, _done):
            demand_ttl(wanted.ttl_s)
            figures = await self._figures(place)
            embedder, _ = await self._embedders.model_of(request, figures, wanted.model, wanted.provider)
            made = await self._collections.ask(
                Create(
                    place=place,
                    model=embedder.model.name,
                    dimension=await embedder.dimension(),
                    ttl_s=wanted.ttl_s,
                ),
                Described,
            )
            assert made.figures is not None  # it was made
            return collection_of(made.figures)

    async def model(self, request: Request, wanted: RagModel) -> RagModelReply:
        """The embedding model of a place, or the one that it would get."""
        async with self._operation(request, "model", wanted) as (place, _done):
            figures = await self._figures(place)
            embedder, warnings = await self._embedders.model_of(request, figures, wanted.model, wanted.provider)
            known = figures is not None and figures.model == embedder.model.name
            return RagModelReply(
                model=embedder.model.name,
                dimension=figures.dimension if known and figures is not None else embedder.model.dimension,
                warnings=warnings,
            )

    async def rebuild(self, request: Request, wanted: RagRebuild) -> RagRebuildReply:
        """An index anew from the database; with a model, vectors anew.

        Raises:
            NotFound: there is no such place.
            LlmspellError: as the model and the worker; vectors that have come are kept.
        """
        async with self._operation(request, "rebuild", wanted) as (place, _done):
            began = self._clock()
            figures = await self._there(place)
            progress = Progress(request, tells=wanted.progress)
            progress.chunks = figures.chunks
            made = 0
            if wanted.model is not None:
                embedder, _ = await self._embedders.model_of(request, figures, wanted.model, None)
                made = await self._reembed(place, embedder, progress)

            def on_progress(frame: dict[str, Any]) -> None:
                progress.chunks_done, progress.chunks = int(frame["done"]), int(frame["total"])
                progress.tell("indexing")

            rebuilt = (await self._collections.ask(Rebuild(place=place), Rebuilt, on_progress)).figures
            return RagRebuildReply(
                chunks=rebuilt.chunks,
                vectors=made,
                model=rebuilt.model,
                dimension=rebuilt.dimension,
                index=rebuilt.index,
                duration_ms=round((self._clock() - began) * 1000, 3),
            )

    # ## Finding

    async def search(self, request: Request, wanted: RagSearch) -> RagSearchReply:
        """Passages for a question."""
        async with self._operation(request, "search", wanted) as (place, done):
            began = self._clock()
            found = await self._search(request, "search", place, wanted, done)
            return RagSearchReply(
                hits=[hit_of(hit) for hit in found.hits],
                count=len(found.hits),
                method=found.method,
                model=found.model,
                exact=found.exact,
                warnings=found.warnings,
                duration_ms=round((self._clock() - began) * 1000, 3),
            )

    async def ask(self, request: Request, wanted: RagAsk) -> RagAskReply:
        """An answer from passages."""
        async with self._operation(request, "ask", wanted) as (place, done):
            # As above.
            from llmspell_kernel.services.rag.asking import Asking

            work = Asking(request, wanted, self._models)
            found = await self._search(request, "ask", place, wanted, done)
            return await work.answer(found)

    async def _search(self, request: Request, action: str, place: Place, wanted: RagSearch, done: Operation) -> Result:
        demand_search(wanted)
        self.watch.demand_input("query", wanted.query)
        owner = request.caller.key_id
        self._asked[owner] = self._asked.get(owner, 0) + 1
        found = await self._searches.search(place, wanted, request.caller.client, self._embedders.made_for(owner))
        done.figures["hits"] = len(found.hits)
        if self._settings().debug.save_debug_dumps:
            await self.watch.dump(action, wanted.query, to_content(place), to_content(list(found.hits)))
        return found

    # ## What is there

    async def list(self, request: Request, wanted: RagList) -> RagListReply:
        """A page of documents."""
        async with self._operation(request, "list", wanted) as (place, _done):
            if not 1 <= wanted.limit <= _MOST_LISTED:
                raise InvalidRequest(f"limit: 1 to {_MOST_LISTED}, got {wanted.limit}")
            try:
                found = await self._collections.ask(
                    ListDocuments(place=place, after=wanted.after, limit=wanted.limit), DocumentsThere
                )
            except NotFound:
                return RagListReply(documents=[], count=0, after=None)  # Nothing has been there so far.
            return RagListReply(
                documents=[listed_of(one) for one in found.documents], count=len(found.documents), after=found.after
            )

    async def collections(self, request: Request, wanted: RagCollections) -> RagCollectionsReply:
        """The asker's places."""
        tenant = self._tenant(wanted.tenant)
        async with self._operation(request, "collections", None, tenant or "") as (_place, _done):
            found = await self._collections.ask(Places(owner=request.caller.key_id, tenant=tenant), PlacesThere)
            path = self._collections.path
            return RagCollectionsReply(
                collections=[collection_of(one) for one in found.places],
                count=len(found.places),
                path=None if path is None else str(path),
            )

    async def stats(self, request: Request, wanted: RagPlace) -> RagStatsReply:
        """What is there, and what was done; of everything where no place is named."""
        tenant = self._tenant(wanted.tenant)
        async with self._operation(request, "stats", None, tenant or "") as (_place, _done):
            owner = request.caller.key_id
            if wanted.collection or wanted.scope:
                place = place_of(request, wanted, multi_tenant=self._settings().multi_tenant)
                return self._stats(owner, await self._collections.ask(Stats(owner=owner, place=place), Statistics))
            counted = await self._collections.ask(Stats(owner=owner), Statistics)
            if tenant is None:
                return self._stats(owner, counted)
            places = (await self._collections.ask(Places(owner=owner, tenant=tenant), PlacesThere)).places
            return self._stats(owner, counted, places)

    async def save(self, request: Request) -> RagStatsReply:
        """Writes indexes to the disk."""
        async with self._operation(request, "save", None) as (_place, _done):
            await self._collections.ask(Save(), Nothing)
            owner = request.caller.key_id
            return self._stats(owner, await self._collections.ask(Stats(owner=owner), Statistics))

    async def delete(self, request: Request, wanted: RagDelete) -> RagDeleteReply:
        """Some documents."""
        async with self._operation(request, "delete", wanted) as (place, done):
            if not (wanted.ids or wanted.sources or wanted.filter):
                raise InvalidRequest("nothing to delete: ids, sources or a filter are needed")
            gone = await self._collections.ask(
                Delete(place=place, ids=wanted.ids, sources=wanted.sources, filter=wanted.filter), Deleted
            )
            done.figures["documents"] = gone.documents
            return deleted_of(gone)

    async def clear(self, request: Request, wanted: RagPlace) -> RagDeleteReply:
        """All of a place."""
        async with self._operation(request, "clear", wanted) as (place, done):
            gone = await self._collections.ask(Clear(place=place), Deleted)
            done.figures["documents"] = gone.documents
            return deleted_of(gone)

    # ## The kernel's side

    def state(self) -> RagState:
        """How the collections worker is."""
        return state_of(self._collections, is_told=self._settings().monitoring.enable_health_checks)

    def reconfigure(self, settings: Settings, running: Collection[asyncio.Task[None]]) -> None:
        """Uses these settings from here on; the worker is started anew where its own have changed."""
        del settings, running
        self._collections.reconfigure()
        self._searches.forget()
        self.watch.apply()

    async def close(self) -> None:
        """Ends the workers; indexes that have changed are saved."""
        self.watch.close()
        await self._sweeping.close()
        await asyncio.gather(self._reader.close(), self._collections.close())

    # ## What all of them need

    @asynccontextmanager
    async def _operation(
        self, request: Request, action: str, wanted: RagPlace | None, tenant: str = ""
    ) -> AsyncIterator[tuple[Place, Operation]]:
        """Around one operation in a place (None: in none of them)."""
        self._demand_on(request)
        if wanted is None:
            place = Place(owner=request.caller.key_id, tenant=tenant, collection="")
        else:
            place = place_of(request, wanted, multi_tenant=self._settings().multi_tenant)
        async with self.watch.operation(request, action, place.tenant, place.collection) as done:
            yield place, done
        self._sweeping.look()

    def _demand_on(self, request: Request) -> None:
        settings = self._settings()
        if settings.enabled:
            return
        is_off = "rag" in self._of_kernel().given and "enabled" in settings.given
        if request.caller.kind == "script" or is_off:
            raise ConfigError(
                "RAG not configured",
                hint="set rag.enabled = true, or use a profile that has it: llmspell -p rag-dev …",
                details={"key": "rag.enabled"},
            )

    def _tenant(self, tenant: str | None) -> str | None:
        """The tenant that is meant; None: all of them."""
        multi_tenant = self._settings().multi_tenant
        return demand_tenant(tenant, multi_tenant=multi_tenant) if tenant or multi_tenant else None

    async def _figures(self, place: Place) -> Figures | None:
        return (await self._collections.ask(Describe(place=place), Described)).figures

    async def _there(self, place: Place) -> Figures:
        figures = await self._figures(place)
        if figures is None:
            raise NotFound(
                f"there is no collection '{place.collection}'" + (f" of '{place.tenant}'" if place.tenant else ""),
                hint="llmspell rag collections shows what there is",
                details={"collection": place.collection},
            )
        return figures

    def _stats(self, owner: str, counted: Statistics, places: Sequence[Figures] | None = None) -> RagStatsReply:
        return stats_of(counted, self._embedders.made_for(owner), self._asked.get(owner, 0), places)

    async def _reembed(self, place: Place, embedder: Embedder, progress: Progress) -> int:
        batch_size = self._settings().embedding.batch_size
        made = await reembed(self._collections, place, embedder, progress, batch_size=batch_size)
        self._searches.forget()
        return made
