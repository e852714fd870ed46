"""Documents of a kernel: passages that are found again, and answers from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from llmspell.asynchronous.asking import AsyncAsking
from llmspell.asynchronous.reply import AsyncReply
from llmspell.requests import Document, documents_content, origins_content
from llmspell.results import RagAnswer
from llmspell_protocol.areas.rag import (
    Method,
    RagChunking,
    RagCollection,
    RagCollectionsReply,
    RagDeleteReply,
    RagIngestReply,
    RagListed,
    RagListReply,
    RagRebuildReply,
    RagSearchReply,
    RagStatsReply,
)
from llmspell_protocol.content import to_content

_REQUEST = "rag_request"
_PAGE = 500
"""Documents that one request lists."""


class AsyncRag:
    """`kernel.rag`: takes documents in, finds passages of them, and has a model answer from these.

    `collection` and `tenant` say where the documents lie; without a name it is the collection `default`.
    """

    def __init__(self, asking: AsyncAsking) -> None:
        self._asking = asking

    async def ingest(
        self,
        *sources: str | Path,
        documents: Sequence[Document] = (),
        collection: str | None = None,
        tenant: str | None = None,
        include: Sequence[str] = (),
        exclude: Sequence[str] = (),
        sync: bool = True,
        force: bool = False,
        model: str | None = None,
        chunking: RagChunking | None = None,
        ttl_s: float | None = None,
        metadata: Mapping[str, Any] | None = None,
        timeout_s: float | None = None,
    ) -> RagIngestReply:
        """Takes in files, directories and `https://…` addresses (`sources`), and texts (`documents`), with a bar.

        Paths are those of the kernel's machine. `documents` are texts, maps such as `{"text": "…", "id": "note"}`,
        or `RagDocument`; what has an id takes the place of what had it. Unchanged files cost a look; with `sync`,
        documents go whose file below a source is gone. What could not be taken in is in `failed`, the rest is there.

        Raises:
            NotFound: there is no such path, or no model that makes vectors.
            InvalidRequest: nothing was given, or it can't be used.
        """
        wanted = {
            **origins_content(sources, local=self._asking.client.info.loopback),
            "action": "ingest",
            "documents": documents_content(documents),
            "collection": collection,
            "tenant": tenant,
            "include": list(include),
            "exclude": list(exclude),
            "sync": sync,
            "force": force,
            "model": model,
            "chunking": to_content(chunking) if chunking is not None else None,
            "ttl_s": ttl_s,
            "metadata": dict(metadata or {}),
        }
        about = str(sources[0]) if len(sources) == 1 else "documents"
        return await self._asking.ask(RagIngestReply, _REQUEST, wanted, about=about, timeout_s=timeout_s)

    async def search(
        self,
        query: str,
        *,
        k: int = 5,
        collection: str | None = None,
        tenant: str | None = None,
        method: Method = "hybrid",
        threshold: float | None = None,
        filter: Mapping[str, Any] | None = None,
        diversity: float | None = None,
        rerank: str | None = None,
        timeout_s: float | None = None,
    ) -> RagSearchReply:
        """The `k` passages that fit best are its `hits`, the best first; none where nothing fits.

        `filter` is metadata that must be equal, a list any of it; `threshold` (0 to 1) leaves out what fits less;
        `diversity` (0 to 1) passes over what says the same; `rerank` is a model that puts the best in order.

        Raises:
            InvalidRequest: the query is empty, or `k` is not from 1 to 10,000.
            ModelNotFound: the collection's embedding model is gone.
        """
        wanted = _chosen(query, k, collection, tenant, method, threshold, filter, diversity, rerank)
        return await self._asking.ask(
            RagSearchReply, _REQUEST, {**wanted, "action": "search"}, about=query, timeout_s=timeout_s
        )

    async def ask(
        self,
        question: str,
        *,
        k: int = 8,
        model: str | None = None,
        collection: str | None = None,
        tenant: str | None = None,
        method: Method = "hybrid",
        threshold: float | None = None,
        filter: Mapping[str, Any] | None = None,
        diversity: float | None = None,
        rerank: str | None = None,
        max_tokens: int | None = None,
        temperature: float | None = None,
        timeout_s: float | None = None,
    ) -> RagAnswer:
        """Has a chat model (`model`, else the kernel's default) answer from the `k` best passages alone.

        `[1]` in the answer is the first of its `citations`. Where no passage fits, `found` is false, and no model was
        asked. The other arguments are those of `search`.

        Raises:
            ModelNotFound, ModelError: there is no such model, or it could not answer.
        """
        wanted = _chosen(question, k, collection, tenant, method, threshold, filter, diversity, rerank)
        return await self._answer(wanted, model, max_tokens, temperature, timeout_s).result()

    def stream(
        self,
        question: str,
        *,
        k: int = 8,
        model: str | None = None,
        collection: str | None = None,
        tenant: str | None = None,
        method: Method = "hybrid",
        threshold: float | None = None,
        filter: Mapping[str, Any] | None = None,
        diversity: float | None = None,
        rerank: str | None = None,
        max_tokens: int | None = None,
        temperature: float | None = None,
        timeout_s: float | None = None,
    ) -> AsyncReply[RagAnswer]:
        """The same as `ask`, its text as it comes."""
        wanted = _chosen(question, k, collection, tenant, method, threshold, filter, diversity, rerank)
        return self._answer(wanted, model, max_tokens, temperature, timeout_s)

    async def list(self, *, collection: str | None = None, tenant: str | None = None) -> Sequence[RagListed]:
        """All documents of a collection, by id."""
        wanted = {"action": "list", "collection": collection, "tenant": tenant, "limit": _PAGE}
        found: tuple[RagListed, ...] = ()
        after: str | None = None
        while True:
            page = await self._asking.ask(RagListReply, _REQUEST, {**wanted, "after": after})
            found = (*found, *page.documents)
            after = page.after
            if after is None:
                return found

    async def collections(self, *, tenant: str | None = None) -> Sequence[RagCollection]:
        """The collections, of one tenant or of all."""
        wanted = {"action": "collections", "tenant": tenant}
        return (await self._asking.ask(RagCollectionsReply, _REQUEST, wanted)).collections

    async def stats(self, *, collection: str | None = None, tenant: str | None = None) -> RagStatsReply:
        """How much there is, of a collection or of all, and what this kernel has done."""
        wanted = {"action": "stats", "collection": collection, "tenant": tenant}
        return await self._asking.ask(RagStatsReply, _REQUEST, wanted)

    async def delete(
        self,
        *ids: str,
        sources: Sequence[str | Path] = (),
        filter: Mapping[str, Any] | None = None,
        collection: str | None = None,
        tenant: str | None = None,
    ) -> RagDeleteReply:
        """Removes documents by id, by file, directory or address (`sources`), or by metadata (`filter`).

        Raises:
            InvalidRequest: none of them was given.
        """
        origins = origins_content(sources, local=self._asking.client.info.loopback)
        wanted = {
            "action": "delete",
            "ids": [*ids],
            "sources": [*origins["paths"], *origins["urls"]],
            "filter": dict(filter or {}),
            "collection": collection,
            "tenant": tenant,
        }
        return await self._asking.ask(RagDeleteReply, _REQUEST, wanted)

    async def clear(self, *, collection: str | None = None, tenant: str | None = None) -> RagDeleteReply:
        """Removes a whole collection."""
        wanted = {"action": "clear", "collection": collection, "tenant": tenant}
        return await self._asking.ask(RagDeleteReply, _REQUEST, wanted)

    async def rebuild(
        self,
        *,
        model: str | None = None,
        collection: str | None = None,
        tenant: str | None = None,
        timeout_s: float | None = None,
    ) -> RagRebuildReply:
        """Makes the index anew; with `model`, embeds everything again with that, with a bar.

        Raises:
            NotFound, ModelNotFound: there is no such collection or model.
        """
        wanted = {"action": "rebuild", "model": model, "collection": collection, "tenant": tenant}
        about = collection or "default"
        return await self._asking.ask(RagRebuildReply, _REQUEST, wanted, about=about, timeout_s=timeout_s)

    def _answer(
        self,
        wanted: Mapping[str, Any],
        model: str | None,
        max_tokens: int | None,
        temperature: float | None,
        timeout_s: float | None,
    ) -> AsyncReply[RagAnswer]:
        said = {"action": "ask", "chat_model": model, "max_tokens": max_tokens, "temperature": temperature}
        pending = self._asking.send(_REQUEST, {**wanted, **said}, timeout_s=timeout_s)
        return AsyncReply(self._asking, pending, RagAnswer, model or "")


def _chosen(
    query: str,
    k: int,
    collection: str | None,
    tenant: str | None,
    method: Method,
    threshold: float | None,
    filter: Mapping[str, Any] | None,
    diversity: float | None,
    rerank: str | None,
) -> dict[str, Any]:
    """What chooses passages."""
    return {
        "query": query,
        "k": k,
        "collection": collection,
        "tenant": tenant,
        "method": method,
        "threshold": threshold,
        "filter": dict(filter or {}),
        "diversity": diversity,
        "rerank": rerank,
    }
