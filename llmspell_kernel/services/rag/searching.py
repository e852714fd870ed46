"""One search: the question's vector, the collections worker, and a reranker where one is wanted. Knows no requests."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from llmspell_kernel.services.models import ModelsService
from llmspell_kernel.services.rag.collections import Collections
from llmspell_kernel.services.rag.embedding import Embedder, Made, Model, described
from llmspell_kernel.services.rag.search_cache import SearchCache
from llmspell_protocol.areas.rag import RagSearch
from llmspell_protocol.errors import InvalidRequest, Unsupported
from llmspell_protocol.rag.documents import Hit
from llmspell_protocol.rag.ops import Describe, Described, Found, Method, Search
from llmspell_protocol.rag.places import Figures, Place

if TYPE_CHECKING:
    from llmspell_profiles.schema.rag import RagSettings

MOST_HITS = 10_000
_RERANKED = 30
"""Passages that a reranker reads, at least; a reader of pairs is a thousand times slower than vectors."""
_RERANKED_A_HIT = 3


class Result(NamedTuple):
    """What a search has found."""

    hits: Sequence[Hit]
    method: Method
    model: str | None
    exact: bool
    warnings: Sequence[str] = ()


class Searches:
    """The searches of a kernel, with those that were asked before; belongs to the loop."""

    def __init__(
        self, models: Callable[[], ModelsService], collections: Collections, settings: Callable[[], RagSettings]
    ) -> None:
        self._models = models
        self._collections = collections
        self._settings = settings
        self._cache: SearchCache[Result] = SearchCache()
        self._known: dict[str, Model] = {}
        """What is known of models: one that is gone is told when it is asked."""

    async def search(self, place: Place, wanted: RagSearch, client: str, made: Made) -> Result:
        """The best passages; of a place that isn't there, none.

        Raises:
            InvalidRequest: what is asked makes no sense.
            LlmspellError: as the embedding model, the reranker and the collections worker.
        """
        demand_search(wanted)
        figures = await self._figures(place, wanted)
        if figures is None:
            return Result((), wanted.method, None, True, (_nothing_there(place),))
        cache = self._settings().cache
        key, generation = _key(place, wanted), _generation(figures)
        if cache.search_cache_enabled and (kept := self._cache.get(key, generation)) is not None:
            return kept
        result = await self._searched(place, wanted, figures, client, made)
        if cache.search_cache_enabled:
            self._cache.put(
                key,
                generation,
                result,
                size=cache.search_cache_size,
                ttl_s=_ttl_s(figures, cache.search_cache_ttl_seconds),
            )
        return result

    def forget(self) -> None:
        """What was found before, and what is known of models, counts no more."""
        self._cache.clear()
        self._known.clear()

    async def _figures(self, place: Place, wanted: RagSearch) -> Figures | None:
        """What is known of the place. Of a kernel's first question both sides prepare while they wait for the other."""
        is_first = wanted.method != "words" and not self._collections.is_open
        if is_first:
            asyncio.get_running_loop().run_in_executor(None, self._models().prepare_own)
        found = await self._collections.ask(Describe(place=place), Described)
        if is_first and found.figures is not None:
            self._collections.prepare_search(place)
        return found.figures

    async def _vector(self, question: str, figures: Figures, client: str, made: Made) -> bytes:
        """The question's, by the model of the place."""
        model = self._known.get(figures.model)
        if model is None:
            model = self._known[figures.model] = await described(self._models(), figures.model)
        embedder = Embedder(self._models(), model.of_dimension(figures.dimension), self._settings, client, made)
        return (await embedder.vectors([question], "query")).data

    async def _searched(self, place: Place, wanted: RagSearch, figures: Figures, client: str, made: Made) -> Result:
        vector = None
        if wanted.method != "words":
            vector = await self._vector(wanted.query, figures, client, made)
        k = wanted.k if wanted.rerank is None else max(_RERANKED, _RERANKED_A_HIT * wanted.k)
        found = await self._collections.ask(
            Search(
                place=place,
                query=wanted.query,
                vector=vector,
                model=None if vector is None else figures.model,
                k=min(k, MOST_HITS),
                method=wanted.method,
                threshold=wanted.threshold,
                filter=wanted.filter,
                diversity=wanted.diversity,
            ),
            Found,
        )
        hits, warnings = found.hits, tuple(found.warnings)
        if wanted.rerank is not None and hits:
            hits, told = await self._reranked(wanted.rerank, wanted.query, hits, client)
            warnings = (*warnings, *told)
        return Result(hits[: wanted.k], wanted.method, found.model, found.exact, warnings)

    async def _reranked(
        self, model: str, query: str, hits: Sequence[Hit], client: str
    ) -> tuple[Sequence[Hit], Sequence[str]]:
        """The hits in the order of a model that reads question and passage together; its scores, from 0 to 1.

        Passages that are too long for it come behind the others, in their order, and that is told.
        """
        short, long = await self._by_length(model, query, hits)
        ranked: Sequence[Hit] = ()
        if short:
            scored = await self._models().rerank(query, [hit.text for hit in short], model=model, client=client)
            pairs = sorted(zip(_shares(scored.scores), short, strict=True), key=lambda pair: -pair[0])
            ranked = [replace(hit, score=score) for score, hit in pairs]
        if not long:
            return ranked, ()
        told = f"{len(long)} of {len(hits)} passages are longer than {model} reads, and come last: cut smaller chunks"
        return [*ranked, *(replace(hit, score=0.0) for hit in long)], (told,)

    async def _by_length(self, model: str, query: str, hits: Sequence[Hit]) -> tuple[Sequence[Hit], Sequence[Hit]]:
        """The hits that a reranker can read beside the question, and the others."""
        longest = (await self._models().info(model)).embed_tokens
        if longest is None:
            return hits, ()
        try:
            counted = await self._models().count_tokens(model, [query, *(hit.text for hit in hits)])
        except Unsupported:
            return hits, ()
        # A pair has one mark more than a text, in the middle.
        room = longest - counted.counts[0] - counted.added - 2
        pairs = list(zip(hits, counted.counts[1:], strict=True))
        return [hit for hit, tokens in pairs if tokens <= room], [hit for hit, tokens in pairs if tokens > room]


def demand_search(wanted: RagSearch) -> None:
    """Raises `InvalidRequest` where a search makes no sense."""
    if not wanted.query.strip():
        raise InvalidRequest("query must not be empty")
    if not 1 <= wanted.k <= MOST_HITS:
        raise InvalidRequest(f"k must be a positive integer, at most {MOST_HITS}", details={"k": wanted.k})
    for name in ("threshold", "diversity"):
        value = getattr(wanted, name)
        if value is not None and not 0 <= value <= 1:
            raise InvalidRequest(f"{name} must be a number from 0 to 1", details={name: str(value)})


def _shares(scores: Sequence[float]) -> list[float]:
    """Scores of any scale between 0 and 1, in the same order: those that are there already stay as they are."""
    if all(0 <= score <= 1 for score in scores):
        return [float(score) for score in scores]
    # Only scores without bounds need it.
    from math import exp

    return [1 / (1 + exp(-max(-60.0, min(60.0, score)))) for score in scores]


def _key(place: Place, wanted: RagSearch) -> Hashable:
    filter = json.dumps(wanted.filter, sort_keys=True, default=str)
    return place, wanted.query, wanted.k, wanted.method, wanted.threshold, filter, wanted.diversity, wanted.rerank


def _generation(figures: Figures) -> Hashable:
    return figures.changed_at, figures.model, figures.documents, figures.chunks


def _ttl_s(figures: Figures, wanted_s: float) -> float:
    if figures.expires_at is None:
        return wanted_s
    # Only places that expire need it.
    import time

    return max(0.0, min(wanted_s, figures.expires_at - time.time()))


def _nothing_there(place: Place) -> str:
    of = f" of tenant '{place.tenant}'" if place.tenant else ""
    return f"there is no collection '{place.collection}'{of}: llmspell rag ingest makes one"
