"""Vectors and token counts of texts from one model, through the models service: batches, retries, time limits.

Knows models and texts; no places, no documents.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

from llmspell_kernel.services.models import ModelsService
from llmspell_protocol.errors import (
    BackendUnavailable,
    InvalidRequest,
    LlmspellError,
    ModelError,
    ModelNotFound,
    Timeout,
    Unsupported,
)

if TYPE_CHECKING:
    from llmspell_profiles.schema.rag import RagSettings

Purpose = Literal["query", "passage"]

LOAD_WITHIN_S = 300.0
"""What a model's first call may take beyond the limit of a call: it may have to be loaded."""
_SHORTENED = "text-embedding-3-"
"""OpenAI's models that make shorter vectors when they are asked (platform.openai.com, "Embeddings")."""
_FIRST_WAIT_S = 0.25
_ADDED_TOKENS = 8
"""What models put around a text, at most: most add two."""
_BYTES_A_TOKEN = 2
"""Where no one counts: text of any language has fewer tokens than a half of its bytes in UTF-8."""


class Model(NamedTuple):
    """A model for vectors. `name` stands for it alone: model and backend."""

    name: str
    dimension: int | None
    """None: not known before the first vector"""
    longest: int | None
    """tokens of a text, with what the model adds; None: not known"""
    passage_prefix: str
    shortened: bool = False
    """It is asked for vectors of `dimension` numbers, which are shorter than its own."""

    def of_dimension(self, dimension: int | None) -> Model:
        """The model as it is asked for vectors that long, where it can be asked."""
        if dimension is None:
            return self
        return self._replace(dimension=dimension, shortened=self.name.startswith(_SHORTENED))


class Vectors(NamedTuple):
    """Vectors of texts in their order: float32, little-endian."""

    data: bytes
    dimension: int
    tokens: int

    def of(self, place: int) -> bytes:
        """One of them."""
        size = 4 * self.dimension
        return self.data[place * size : (place + 1) * size]


@dataclass
class Made:
    """What was computed."""

    vectors: int = 0
    tokens: int = 0


class Embedder:
    """One model, asked for one client; `settings` are those of RAG in force, `made` counts what it computes."""

    def __init__(
        self, models: ModelsService, model: Model, settings: Callable[[], RagSettings], client: str, made: Made
    ) -> None:
        self.model = model
        self._made = made
        self._models = models
        self._settings = settings
        self._client = client
        self._is_loaded = False

    async def vectors(self, texts: Sequence[str], purpose: Purpose) -> Vectors:
        """A vector a text. Failures that may pass are tried again; a call that takes too long, in halves.

        Raises:
            ContextLengthExceeded: a text is too long; `details.index` tells which.
            LlmspellError: as the models service.
        """
        settings = self._settings().embedding
        attempt = 0
        while True:
            try:
                return await self._asked(texts, purpose, settings.timeout_seconds)
            except LlmspellError as error:
                attempt += 1
                if not error.retryable or attempt > settings.max_retries:
                    raise
                if isinstance(error, Timeout) and len(texts) > 1:
                    middle = len(texts) // 2
                    first = await self.vectors(texts[:middle], purpose)
                    second = await self.vectors(texts[middle:], purpose)
                    return Vectors(first.data + second.data, first.dimension, first.tokens + second.tokens)
            await asyncio.sleep(_FIRST_WAIT_S * 2 ** (attempt - 1))

    async def all_vectors(self, texts: Sequence[str]) -> Vectors:
        """Vectors of any number of passages, a batch at a time."""
        size = self._settings().embedding.batch_size
        batches = [await self.vectors(texts[at : at + size], "passage") for at in range(0, len(texts), size)]
        return Vectors(
            b"".join(one.data for one in batches), await self.dimension(), sum(one.tokens for one in batches)
        )

    async def _asked(self, texts: Sequence[str], purpose: Purpose, timeout_s: float) -> Vectors:
        within_s = timeout_s if self._is_loaded else timeout_s + LOAD_WITHIN_S
        try:
            async with asyncio.timeout(within_s):
                found = await self._models.embed(
                    list(texts),
                    model=self.model.name,
                    normalize=True,
                    purpose=purpose,
                    client=self._client,
                    dimensions=self.model.dimension if self.model.shortened else None,
                )
        except TimeoutError:
            raise Timeout(
                f"{self.model.name} made no vectors of {len(texts)} texts within {within_s:g} s",
                hint="raise rag.embedding.timeout_seconds, or lower rag.embedding.batch_size",
                details={"setting": "rag.embedding.timeout_seconds", "timeout_s": within_s},
            ) from None
        self._is_loaded = True
        if found.count != len(texts):
            raise ModelError(f"{self.model.name} made {found.count} vectors of {len(texts)} texts")
        known = self.model.dimension
        if known is not None and known != found.dimensions:
            raise ModelError(
                f"{self.model.name} makes vectors of {found.dimensions} dimensions now, and had {known}",
                hint="llmspell rag rebuild --model MODEL embeds a collection again",
                details={"dimension": found.dimensions, "expected": known},
            )
        self._made.vectors += found.count
        self._made.tokens += found.usage.prompt_tokens
        return Vectors(found.data, found.dimensions, found.usage.prompt_tokens)

    async def count(self, texts: Sequence[str]) -> list[int]:
        """The tokens of each text, without those that the model adds; an upper bound where its backend can't count."""
        try:
            counted = await self._models.count_tokens(self.model.name, list(texts))
        except Unsupported:
            return [-(-len(text.encode()) // _BYTES_A_TOKEN) for text in texts]
        return list(counted.counts)

    def longest_chunk(self, wanted: int) -> int:
        """The most tokens of a chunk: what the model reads at once, without its own and those of the prefix.

        No model is asked, and none loaded, where all documents turn out to be unchanged.

        Raises:
            InvalidRequest: nothing is left of it.
        """
        if self.model.longest is None:
            return wanted
        left = self.model.longest - _ADDED_TOKENS - len(self.model.passage_prefix.encode())
        if left < 1:
            raise InvalidRequest(f"{self.model.name} reads {self.model.longest} tokens, which its own words fill")
        return min(wanted, left)

    async def dimension(self) -> int:
        """How many numbers a vector has."""
        if self.model.dimension is None:
            found = await self.vectors(["dimension"], "passage")
            self.model = self.model._replace(dimension=found.dimension)
            return found.dimension
        return self.model.dimension


async def described(models: ModelsService, model: str) -> Model:
    """What is known of a model for vectors.

    Raises:
        ModelNotFound: there is none of this name.
        Unsupported: it makes no vectors.
    """
    try:
        info = await models.info(model)
    except (ModelNotFound, BackendUnavailable, Unsupported):
        provider, spec, _ = await models.locate(model)
        if not models.is_remote(provider.name):
            raise
        # A server may have models that it doesn't list, or no list at all: whether it has this one, vectors show.
        return Model(f"{spec.name}@{provider.name}", None, None, await provider.prefix(spec, "passage"))
    if info.capabilities and "embed" not in info.capabilities:
        raise Unsupported(
            f"{info.id} makes no vectors",
            hint="a model that makes them shows the capability embed (llmspell model info)",
            details={"model": info.id, "operation": "embed"},
        )
    return Model(
        name=f"{info.id}@{info.backend}",
        dimension=info.embedding_length,
        longest=info.embed_tokens,
        passage_prefix=info.prefix_passage,
    )
