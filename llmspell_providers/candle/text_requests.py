"""What the in-house backend does with texts that are no chats: vectors, scores, tokens.

Knows neither files nor memory: whose turn it is with which worker is the provider's.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from llmspell_protocol.models import Embeddings
from llmspell_protocol.scores import Scores, TokenCounts
from llmspell_providers.base import FoundModel
from llmspell_providers.candle.engine import no_scores, no_vectors
from llmspell_providers.capabilities import Capabilities
from llmspell_providers.spec import ModelSpec

if TYPE_CHECKING:
    from llmspell_protocol.areas.model_texts import Purpose
    from llmspell_providers.candle.process import ModelProcess
    from llmspell_providers.library.manifest import Manifest
    from llmspell_providers.residency.residency import Turn

_TOKENIZE = "tokenize"
"""The client of requests without one: all of these share one turn in the queue."""

T = TypeVar("T")


class TextRequests(ABC):
    """The operations of the provider on texts; see `Provider`."""

    name: str

    @abstractmethod
    def capabilities(self, model_format: str | None = None) -> Capabilities: ...

    @abstractmethod
    async def _manifest(self, spec: ModelSpec, found: FoundModel | None) -> Manifest: ...

    @abstractmethod
    def _turn(
        self, manifest: Manifest, client: str, *, embeds: bool = False
    ) -> AbstractAsyncContextManager[Turn[ModelProcess]]: ...

    @abstractmethod
    async def _in_time(self, answer: Awaitable[T], manifest: Manifest) -> T: ...

    async def embed(
        self, spec: ModelSpec, texts: Sequence[str], *, normalize: bool, client: str, found: FoundModel | None = None
    ) -> Embeddings:
        """One vector a text."""
        manifest = await self._manifest(spec, found)
        if "rerank" in manifest.capabilities:
            raise no_vectors(manifest.id)
        async with self._turn(manifest, client, embeds=True) as turn:
            vectors = await self._in_time(turn.worker.embed(texts, normalize=normalize), manifest)
        return replace(vectors, backend=self.name)

    async def prefix(self, spec: ModelSpec, purpose: Purpose, *, found: FoundModel | None = None) -> str:
        """By the model's files, else by its name or its source's."""
        return (await self._manifest(spec, found)).prefixes.of(purpose)

    async def tokenize(self, spec: ModelSpec, text: str, *, found: FoundModel | None = None) -> list[int]:
        """The model's own token ids of a text."""
        manifest = await self._manifest(spec, found)
        async with self._turn(manifest, _TOKENIZE) as turn:
            return await self._in_time(turn.worker.tokenize(text), manifest)

    async def count_tokens(
        self, spec: ModelSpec, texts: Sequence[str], *, found: FoundModel | None = None
    ) -> TokenCounts:
        """Tokens of each of the texts."""
        manifest = await self._manifest(spec, found)
        async with self._turn(manifest, _TOKENIZE) as turn:
            return await self._in_time(turn.worker.count_tokens(texts), manifest)

    async def rerank(
        self, spec: ModelSpec, query: str, texts: Sequence[str], *, client: str, found: FoundModel | None = None
    ) -> Scores:
        """A score a text."""
        manifest = await self._manifest(spec, found)
        self.capabilities(manifest.format).demand("rerank", self.name)
        # Files that do not say what they are for are asked when they are loaded.
        if manifest.capabilities and "rerank" not in manifest.capabilities:
            raise no_scores(manifest.id)
        async with self._turn(manifest, client, embeds=True) as turn:
            scores = await self._in_time(turn.worker.rerank(query, texts), manifest)
        return replace(scores, backend=self.name)
