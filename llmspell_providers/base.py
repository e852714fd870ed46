"""The one contract between the kernel and everything that has models."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
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
    PullProgress,
)

if TYPE_CHECKING:
    from llmspell_protocol.areas.model import VerifiedModel
    from llmspell_providers.capabilities import Capabilities
    from llmspell_providers.spec import ModelSpec


class Provider(Protocol):
    """A backend. Closing an iterator cancels the work behind it; every method raises the protocol's errors.

    What the backend lacks by its own declaration raises `Unsupported` naming it. `client` is the caller, so that queues
    can be fair between clients. A method may be called from the kernel's loop only.
    """

    name: str

    def capabilities(self, model_format: str | None = None) -> Capabilities:
        """What it does with models of a format (`LocalModel.format`; None: of its usual one), and what it doesn't."""

    async def health(self) -> HealthStatus:
        """Whether the backend can be used; never raises and never takes longer than a second."""

    async def list_models(self) -> list[LocalModel]:
        """What is installed."""

    async def has(self, spec: ModelSpec) -> bool:
        """Whether the model is installed.

        Raises:
            BackendUnavailable: the backend cannot be asked.
        """

    async def has_chat_template(self, spec: ModelSpec) -> bool:
        """Whether a template writes conversations for the model; else it reads the bare texts of all messages."""

    async def info(self, spec: ModelSpec) -> ModelInfo:
        """Everything known about an installed model."""

    def pull(self, spec: ModelSpec, *, force: bool, quantization: str | None) -> AsyncGenerator[PullProgress]:
        """Downloads a model; the last item carries the result."""

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

    def chat(self, request: ChatRequest, *, client: str) -> AsyncGenerator[ChatChunk]:
        """Streams a reply; the last chunk carries the result."""

    async def embed(self, spec: ModelSpec, texts: Sequence[str], *, normalize: bool, client: str) -> Embeddings:
        """One vector a text."""

    async def tokenize(self, spec: ModelSpec, text: str) -> list[int]:
        """The model's own token ids of a text."""

    async def close(self) -> None:
        """Ends everything that the backend has running."""
