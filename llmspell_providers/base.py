"""The one contract between the kernel and everything that has models."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from llmspell_protocol.models import (
    ChatChunk,
    ChatRequest,
    Embeddings,
    HealthStatus,
    LoadedModel,
    LoadOptions,
    LocalModel,
    ModelInfo,
)
from llmspell_protocol.pulls import PullProgress
from llmspell_protocol.scores import Scores, TokenCounts

if TYPE_CHECKING:
    from llmspell_protocol.areas.model import DamagedModel, VerifiedModel
    from llmspell_protocol.areas.model_texts import Purpose
    from llmspell_providers.capabilities import Capabilities
    from llmspell_providers.spec import ModelSpec


@dataclass(frozen=True, slots=True)
class FoundModel:
    """What one look-up tells of a model, so that a turn needs no second one; a backend may add its own record.

    `format` is `LocalModel.format`, None for the backend's usual one. Without `chat_template` the model reads the bare
    texts of all messages. `id` is the backend's own name of it, None where only `info` tells.
    """

    format: str | None = None
    chat_template: bool = True
    id: str | None = None


class Provider(Protocol):
    """A backend. Closing an iterator cancels the work behind it; every method raises the protocol's errors.

    What the backend lacks by its own declaration raises `Unsupported` naming it. `client` is the caller, so that queues
    can be fair between clients. A method may be called from the kernel's loop only.
    """

    name: str

    def capabilities(self, model_format: str | None = None) -> Capabilities:
        """What it does with models of a format (`LocalModel.format`; None: of its usual one), and what it doesn't."""

    async def demand_configured(self) -> None:
        """Raises what keeps it from being asked at all, such as a key that is missing; asks no server and no file."""

    async def health(self) -> HealthStatus:
        """Whether the backend can be used; never raises and never takes longer than a second."""

    async def list_models(self) -> list[LocalModel]:
        """What is installed."""

    async def damaged(self) -> list[DamagedModel]:
        """What is on the disk but can't be used; nothing where that is another program's business."""

    async def find(self, spec: ModelSpec) -> FoundModel | None:
        """The model, if it is installed, damaged or not: only using it tells.

        Raises:
            BackendUnavailable: the backend cannot be asked.
        """

    async def resolve(self, spec: ModelSpec) -> FoundModel:
        """The model that a request names at this backend; a server that will be asked anyway is not asked for it first.

        Raises:
            ModelNotFound: it is known to be missing.
        """

    async def info(self, spec: ModelSpec) -> ModelInfo:
        """Everything known about an installed model."""

    def pull(
        self, spec: ModelSpec, *, force: bool, quantization: str | None, public_only: bool = False
    ) -> AsyncGenerator[PullProgress]:
        """Downloads a model; the last item carries the result.

        `public_only`: not from an address of this machine or its network, where it is a file's address.
        """

    async def remove(self, spec: ModelSpec, *, force: bool) -> int:
        """Deletes an installed model, unloading it first; returns the bytes freed."""

    async def verify(self, spec: ModelSpec) -> VerifiedModel:
        """Compares every file with the manifest."""

    async def load(self, spec: ModelSpec, options: LoadOptions) -> LoadedModel:
        """Makes a model ready to answer."""

    async def unload(self, spec: ModelSpec, *, force: bool) -> int:
        """Ends a loaded model; returns the bytes freed (0 when it was not loaded)."""

    async def loaded(self) -> list[LoadedModel]:
        """The models in memory now."""

    def chat(
        self, spec: ModelSpec, request: ChatRequest, *, client: str, found: FoundModel | None = None
    ) -> AsyncGenerator[ChatChunk]:
        """Streams a reply; the last chunk carries the result, with the times that the backend itself has measured.

        `found` is what `find` or `resolve` told just now. Capabilities and the reply's schema are the caller's to check
        (`llmspell_kernel.services.chat_turn`), and so is the clock.
        """

    async def embed(
        self, spec: ModelSpec, texts: Sequence[str], *, normalize: bool, client: str, found: FoundModel | None = None
    ) -> Embeddings:
        """One vector for each of the texts, of which there is at least one."""

    async def prefix(self, spec: ModelSpec, purpose: Purpose, *, found: FoundModel | None = None) -> str:
        """What the model wants before a text that is embedded for a purpose; empty: nothing, or not known."""

    async def tokenize(self, spec: ModelSpec, text: str, *, found: FoundModel | None = None) -> list[int]:
        """The model's own token ids of a text."""

    async def count_tokens(
        self, spec: ModelSpec, texts: Sequence[str], *, found: FoundModel | None = None
    ) -> TokenCounts:
        """Tokens of each of the texts, of which there may be thousands: one question to the model, not one a text."""

    async def rerank(
        self, spec: ModelSpec, query: str, texts: Sequence[str], *, client: str, found: FoundModel | None = None
    ) -> Scores:
        """How well each of the texts, of which there is at least one, answers the query.

        Raises:
            Unsupported: the backend has no such models, or this one makes something else than scores.
            ContextLengthExceeded: query and a text together are longer than the model reads; `index` tells which.
        """

    async def close(self) -> None:
        """Ends everything that the backend has running."""
