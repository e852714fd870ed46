"""What is asked of a server about texts that are no chats: vectors, scores, tokens. Knows no connection."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from llmspell_protocol.errors import BackendUnavailable, Unsupported
from llmspell_protocol.models import Embeddings, Usage
from llmspell_protocol.scores import Scores, TokenCounts
from llmspell_providers.base import FoundModel
from llmspell_providers.capabilities import Capabilities, unsupported
from llmspell_providers.remote.dialect import Dialect, Vectors
from llmspell_providers.remote.remote_limits import ServerManagedModels
from llmspell_providers.spec import ModelSpec
from llmspell_providers.token_estimate import estimated_tokens
from llmspell_providers.vectors import packed

if TYPE_CHECKING:
    from llmspell_protocol.areas.model_texts import Purpose

T = TypeVar("T")


class TextRequests(ServerManagedModels):
    """The operations of a provider on texts; see `Provider`."""

    def __init__(self, name: str, capabilities: Capabilities, dialect: Dialect) -> None:
        super().__init__(name, capabilities)
        self._dialect = dialect

    @abstractmethod
    async def _answer(self, ask: Callable[[Any], Awaitable[T]], name: str | None, *, tokens: int = 0) -> T: ...

    async def embed(
        self,
        spec: ModelSpec,
        texts: Sequence[str],
        *,
        normalize: bool,
        client: str,
        found: FoundModel | None = None,
        dimensions: int | None = None,
    ) -> Embeddings:
        """One vector a text; those of most vendors have length 1 anyway. `dimensions` is for models that can be asked
        for shorter ones."""
        self._capabilities.demand("embed", self.name)
        name = server_name(spec)

        async def ask(client: Any) -> tuple[Vectors, bytes]:
            vectors = await self._dialect.embed(client, name, texts, dimensions)
            if len(vectors.rows) != len(texts):
                raise ValueError("another number of vectors than of texts")
            return vectors, packed(vectors.rows, normalize=normalize)

        tokens = estimated_tokens(*texts)
        try:
            vectors, data = await self._answer(ask, name, tokens=tokens)
        except BackendUnavailable as error:
            if error.details.get("status") == 404:
                raise unsupported("embed", self.name, "the server has no /embeddings, or base_url lacks /v1") from None
            raise
        return Embeddings(
            data=data,
            count=len(texts),
            dimensions=len(vectors.rows[0]),
            usage=Usage(prompt_tokens=vectors.prompt_tokens),
            model=name,
            backend=self.name,
        )

    async def prefix(self, spec: ModelSpec, purpose: Purpose, *, found: FoundModel | None = None) -> str:
        """By the model's name: servers do not tell."""
        # Few texts have a purpose.
        from llmspell_providers.library.prefixes import known_prefixes

        return known_prefixes(spec.name).of(purpose)

    async def tokenize(self, spec: ModelSpec, text: str, *, found: FoundModel | None = None) -> list[int]:
        """The token ids of a text, from servers that have `/tokenize`."""
        self._capabilities.demand("tokenize", self.name)
        name = server_name(spec)
        try:
            return await self._answer(lambda client: self._dialect.tokenize(client, name, text), name)
        except BackendUnavailable as error:
            if error.details.get("status") == 404:
                raise unsupported("tokenize", self.name, "the server has no /tokenize") from None
            raise

    async def count_tokens(
        self, spec: ModelSpec, texts: Sequence[str], *, found: FoundModel | None = None
    ) -> TokenCounts:
        """Raises `Unsupported`: a server counts one text a request, and none says what its model adds."""
        raise unsupported("tokenize", self.name, "its interface counts no tokens of many texts at once")

    async def rerank(
        self, spec: ModelSpec, query: str, texts: Sequence[str], *, client: str, found: FoundModel | None = None
    ) -> Scores:
        """How well each text answers the query, from servers that have `/rerank`."""
        self._capabilities.demand("rerank", self.name)
        name = server_name(spec)
        tokens = estimated_tokens(*texts) + len(texts) * estimated_tokens(query)
        try:
            ranked = await self._answer(
                lambda client: self._dialect.rerank(client, name, query, texts), name, tokens=tokens
            )
        except BackendUnavailable as error:
            if error.details.get("status") == 404:
                raise unsupported("rerank", self.name, "the server has no /rerank, or base_url lacks /v1") from None
            raise
        return Scores(
            scores=ranked.scores, usage=Usage(prompt_tokens=ranked.prompt_tokens), model=name, backend=self.name
        )


def server_name(spec: ModelSpec) -> str:
    """What the server calls the model."""
    if spec.source is not None and spec.hub_repository is None:
        raise Unsupported(f"A server can't take a model from {spec.source}", hint=f"use {spec.source}@candle")
    return spec.name
