"""One ingest: what it is about is looked at, read, cut, embedded and written, one behind the other and all at once.

Each step hands on to the next through a bounded queue. Cancelling it leaves whole documents; asked again, it goes on
where it was, since what is there costs a look.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
from collections.abc import AsyncIterator, Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from llmspell_kernel.request import Request
from llmspell_kernel.services.rag.collections import Collections
from llmspell_kernel.services.rag.contents import Contents
from llmspell_kernel.services.rag.cutting import about_digest, cutting_of
from llmspell_kernel.services.rag.embedding import Embedder
from llmspell_kernel.services.rag.fetching import fetched, in_utf8
from llmspell_kernel.services.rag.problems import ModelFailure, is_no_document, is_of_reading, problem_of
from llmspell_kernel.services.rag.progress import Progress
from llmspell_kernel.services.rag.reading import Read, Reader, Reading
from llmspell_kernel.services.rag.sources import ReadRights, Source
from llmspell_kernel.services.rag.watching import Watch
from llmspell_kernel.services.rag.writing import Writer, Writing
from llmspell_protocol.areas.rag import RagIngest, RagIngestReply, RagProblem
from llmspell_protocol.errors import InvalidRequest, LlmspellError, NotFound
from llmspell_protocol.rag.documents import Document, Known
from llmspell_protocol.rag.ops import AnswerKnown, AskKnown, Create, Delete, Deleted, Described
from llmspell_protocol.rag.places import Place
from llmspell_protocol.rag.problems import problem_line

if TYPE_CHECKING:
    from llmspell_kernel.services.tools.service import ToolsService
    from llmspell_profiles.schema.rag import RagSettings

_READ_AHEAD = 2
"""Documents that are read at a time."""
_QUEUE = 2
_MOST_WARNINGS = 20
_KEYS_A_CALL = 1000


class Ingest:
    """The work of one request; used once."""

    def __init__(
        self,
        request: Request,
        wanted: RagIngest,
        place: Place,
        *,
        collections: Collections,
        embedder: Embedder,
        reader: Reader,
        tools: Callable[[], ToolsService],
        contents: Contents,
        settings: Callable[[], RagSettings],
        watch: Watch,
        warnings: Sequence[str] = (),
    ) -> None:
        self._request = request
        self._wanted = wanted
        self._place = place
        self._collections = collections
        self._embedder = embedder
        self._reader = reader
        self._tools = tools
        self._contents = contents
        self._settings = settings
        self._watch = watch
        self._warnings = list(warnings)
        self._progress = Progress(request, tells=wanted.progress)
        self._there: dict[str, None] = {}
        """Ids of documents that are there now, in the order in which they were given."""
        self._order: dict[str, int] = {}
        self._unchanged = 0
        self._skipped: list[RagProblem] = []
        self._failed: list[RagProblem] = []
        self._cutting = cutting_of(wanted, settings(), embedder)
        self._is_created = False
        self._creating = asyncio.Lock()
        self._roots: list[str] = []

    @cached_property
    def _rights(self) -> ReadRights:
        # Texts need no permission.
        tools = self._tools()
        return ReadRights(self._request, tools.permissions(self._request), tools.permit)

    async def run(self) -> RagIngestReply:
        """Does it.

        Raises:
            InvalidRequest: there is nothing to do.
            NotFound: the only path isn't there.
            LlmspellError: what is no fault of a document; `details` says what was done.
        """
        began = time.monotonic()
        wanted = self._wanted
        if not (wanted.documents or wanted.paths or wanted.urls):
            raise InvalidRequest("nothing to ingest: documents, paths or urls are needed")
        self._progress.tell("looking")
        sources = await self._looked()
        self._progress.documents = len(sources)
        if not wanted.urls:
            self._progress.bytes = sum(source.size or 0 for source in sources)
        known = await self._known(sources)
        self._progress.restart()
        writer = Writer(
            self._collections,
            self._embedder,
            self._place,
            self._settings,
            prepare=self._prepare,
            on_embedded=self._embedded,
            on_written=self._written,
        )
        try:
            await self._piped(sources, known, writer)
            removed = await self._removed(sources, known)
        except LlmspellError as error:
            error.details.setdefault("documents_done", writer.tally.added + writer.tally.changed + self._unchanged)
            raise
        tally = writer.tally
        return RagIngestReply(
            ids=sorted(self._there, key=lambda id: self._order[id]),
            added=tally.added,
            changed=tally.changed,
            unchanged=self._unchanged,
            removed=removed,
            skipped=self._skipped,
            failed=self._failed,
            chunks=tally.chunks,
            vectors=tally.vectors,
            tokens=tally.tokens,
            model=self._embedder.model.name,
            dimension=await self._embedder.dimension(),
            warnings=list(dict.fromkeys(self._warnings))[:_MOST_WARNINGS],
            duration_ms=round((time.monotonic() - began) * 1000, 3),
        )

    # ## What it is about

    async def _looked(self) -> list[Source]:
        sources = {source.id: source for source in self._given()}
        for path in self._wanted.paths:
            async for source in self._below(path):
                sources[source.id] = source
        for url in self._wanted.urls:
            sources[url] = Source(id=url, name=url, url=url)
        self._order = {id: number for number, id in enumerate(sources)}
        return list(sources.values())

    def _given(self) -> list[Source]:
        found = []
        for document in self._wanted.documents:
            id = document.id or f"text-{hashlib.sha256(document.text.encode()).hexdigest()[:16]}"
            if not document.text.strip():
                raise InvalidRequest(f"document '{id}' has no text", hint="leave it out, or give it one")
            if len(id) > 500 or not id.isprintable():
                raise InvalidRequest("a document's id has 1 to 500 printable characters")
            self._watch.demand_input(f"document '{id}'", document.text)
            found.append(Source(id=id, name=id, size=len(document.text.encode()), document=document))
        return found

    async def _below(self, given: str) -> AsyncIterator[Source]:
        path = self._rights.path(given)
        await self._rights.demand(path)
        self._roots.append(path)
        is_there = await asyncio.to_thread(os.path.exists, path)
        if not is_there:
            return
        files, skipped = await self._reader.files(
            path, self._rights.beneath(path), self._wanted.include, self._wanted.exclude
        )
        self._skipped += skipped
        for file in files:
            yield Source(id=file.path, name=file.path, size=file.size, path=file.path)

    async def _known(self, sources: Sequence[Source]) -> dict[str, Known]:
        ids = [source.id for source in sources]
        found: dict[str, Known] = {}
        for at in range(0, max(1, len(ids)), _KEYS_A_CALL):
            some = ids[at : at + _KEYS_A_CALL]
            below = self._roots if at == 0 else ()
            after: str | None = ""
            while after is not None:
                wanted = AskKnown(place=self._place, ids=some, below=below, after=after)
                answer = await self._collections.ask(wanted, AnswerKnown)
                found |= {one.id: one for one in answer.documents}
                after = answer.after
        for root in self._roots:
            is_known = any(_is_below(one.source, root) for one in found.values())
            is_there = is_known or await asyncio.to_thread(os.path.exists, root)
            if not is_there:
                missing = NotFound(f"there is no file or directory {root}", details={"path": root})
                if not sources and len(self._roots) == 1:
                    raise missing
                self._failed.append(problem_of(root, missing))
        return found

    # ## The pipe

    async def _piped(self, sources: Sequence[Source], known: dict[str, Known], writer: Writer) -> None:
        documents: asyncio.Queue[Writing | None] = asyncio.Queue(_QUEUE)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(writer.run(documents))
                await self._read_all(sources, known, documents, tasks)
        except BaseExceptionGroup as group:
            raise group.exceptions[0] from None

    async def _read_all(
        self,
        sources: Sequence[Source],
        known: dict[str, Known],
        documents: asyncio.Queue[Writing | None],
        tasks: asyncio.TaskGroup,
    ) -> None:
        reading: list[asyncio.Task[Writing | None]] = []
        for source in sources:
            reading.append(tasks.create_task(self._taken(source, known.get(source.id))))
            if len(reading) >= _READ_AHEAD:
                await self._hand_on(reading.pop(0), documents)
        for task in reading:
            await self._hand_on(task, documents)
        await documents.put(None)

    async def _hand_on(self, task: asyncio.Task[Writing | None], documents: asyncio.Queue[Writing | None]) -> None:
        one = await task
        if one is not None:
            await documents.put(one)

    async def _taken(self, source: Source, known: Known | None) -> Writing | None:
        """The document as it is to be written; None: it is there already, or can't be taken."""
        try:
            return await self._read(source, known)
        except ModelFailure as failure:
            raise failure.error from None
        except LlmspellError as error:
            if not is_of_reading(error):
                raise
            if is_no_document(error) and source.path is not None and source.path not in self._roots:
                self._skipped.append(problem_of(source.name, error))
                self._done(source)
            else:
                self._fail(source, error)
            return None

    async def _read(self, source: Source, known: Known | None) -> Writing | None:
        wanted = self._wanted
        reading = await self._reading_of(source)
        about = about_digest(source, wanted)
        kept, _, kept_about = ("", "", "") if known is None or wanted.force else known.hash.partition(".")
        # What is to live longer is written anew.
        is_same = kept_about == about and wanted.ttl_s is None
        self._progress.tell("reading", source.name)
        read = await self._content(source, reading, kept if is_same else None)
        if read.content is None:
            self._unchanged += 1
            self._there[source.id] = None
            self._done(source)
            return None
        content = read.content
        self._warnings += [f"{source.name}: {text}" for text in content.warnings]
        given = source.document
        own = {} if given is None else given.metadata
        document = Document(
            id=source.id,
            hash=f"{read.hash}.{about}",
            source=source.source,
            title=content.title if given is None or given.title is None else given.title,
            media_type=content.media_type,
            metadata={**(content.metadata if given is None else {}), **wanted.metadata, **own},
            expires_at=None if wanted.ttl_s is None else time.time() + wanted.ttl_s,
            characters=content.characters,
            bytes=content.bytes,
        )
        return Writing(source, document, content)

    async def _content(self, source: Source, reading: Reading, known: str | None) -> Read:
        """The document, read or from the store; without content where it is the known one."""
        cache = self._settings().cache
        cutting = self._cutting
        key = source.id, reading.media_type, cutting, self._embedder.model.name
        kept = self._contents.get(key) if cache.document_cache_enabled and not self._wanted.force else None
        if known is None and kept is not None:
            read = await self._reader.read(reading, cutting, self._embedder, kept[0])
            return Read(read.hash, kept[1]) if read.content is None else read
        read = await self._reader.read(reading, cutting, self._embedder, known)
        if read.content is not None and cache.document_cache_enabled:
            self._contents.put(key, read.hash, read.content, size_bytes=cache.document_cache_size_mb << 20)
        return read

    async def _reading_of(self, source: Source) -> Reading:
        limit = self._watch.largest_input_bytes
        if source.path is not None:
            if source.size is not None:
                self._watch.demand_size(source.name, source.size)
            return Reading(source.name, path=source.path, beneath=self._rights.beneath(source.path), limit_bytes=limit)
        if source.url is not None:
            self._progress.tell("reading", source.url)
            page = await fetched(self._request, self._tools(), self._rights.permissions, source.url)
            self._watch.demand_size(source.url, len(page.data))
            return Reading(source.name, data=page.data, media_type=page.media_type, limit_bytes=limit)
        assert source.document is not None
        media_type = in_utf8(source.document.media_type or "text/plain")
        return Reading(source.name, data=source.document.text.encode(), media_type=media_type, limit_bytes=limit)

    async def _prepare(self) -> int:
        """Makes the place where it isn't there; its dimension."""
        async with self._creating:
            dimension = await self._embedder.dimension()
            if not self._is_created:
                model = self._embedder.model.name
                await self._collections.ask(Create(place=self._place, model=model, dimension=dimension), Described)
                self._is_created = True
            return dimension

    # ## What has become of it

    def _embedded(self, chunks: int) -> None:
        self._progress.chunks_done += chunks
        self._progress.tell("embedding")

    def _written(self, one: Writing) -> None:
        if one.problem is not None:
            self._fail(one.source, one.problem)
            return
        self._there[one.source.id] = None
        self._done(one.source)
        self._progress.tell("writing", one.source.name)

    def _fail(self, source: Source, error: LlmspellError) -> None:
        self._failed.append(problem_of(source.name, error))
        self._done(source)
        self._progress.tell("reading", source.name, warning=problem_line(source.name, error.message))

    def _done(self, source: Source) -> None:
        self._progress.documents_done += 1
        self._progress.bytes_done += source.size or 0

    async def _removed(self, sources: Sequence[Source], known: dict[str, Known]) -> int:
        """Takes away the documents below the paths whose files are gone; how many."""
        if not self._wanted.sync or not self._roots:
            return 0
        given = {source.id for source in sources}
        candidates = [
            one
            for one in known.values()
            if one.id not in given and one.source and any(_is_below(one.source, root) for root in self._roots)
        ]
        gone = await asyncio.to_thread(lambda: [one.id for one in candidates if not os.path.lexists(one.source or "")])
        removed = 0
        for at in range(0, len(gone), _KEYS_A_CALL):
            some = Delete(place=self._place, ids=gone[at : at + _KEYS_A_CALL])
            removed += (await self._collections.ask(some, Deleted)).documents
        return removed


def _is_below(source: str | None, root: str) -> bool:
    return source is not None and (source == root or source.startswith(root.rstrip("/") + "/"))
