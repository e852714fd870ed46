"""What can't be done with a model of another server: everything about files and memory."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING

from llmspell_protocol.models import LoadedModel, LoadOptions
from llmspell_protocol.pulls import PullProgress
from llmspell_providers.capabilities import Capabilities
from llmspell_providers.spec import ModelSpec

if TYPE_CHECKING:
    from llmspell_protocol.areas.model import VerifiedModel


class ServerManagedModels:
    """The operations of a provider that need the model here; each raises `Unsupported`, as is declared."""

    def __init__(self, name: str, capabilities: Capabilities) -> None:
        self.name = name
        self._capabilities = capabilities

    def capabilities(self, model_format: str | None = None) -> Capabilities:
        """The same for all models."""
        return self._capabilities

    async def pull(
        self, spec: ModelSpec, *, force: bool, quantization: str | None, public_only: bool = False
    ) -> AsyncGenerator[PullProgress, None]:
        """Raises `Unsupported`."""
        raise self._capabilities.refusal("pull", self.name)
        yield  # pragma: no cover, makes this a generator

    async def remove(self, spec: ModelSpec, *, force: bool) -> int:
        """Raises `Unsupported`."""
        raise self._capabilities.refusal("remove", self.name)

    async def verify(self, spec: ModelSpec) -> VerifiedModel:
        """Raises `Unsupported`."""
        raise self._capabilities.refusal("verify", self.name)

    async def load(self, spec: ModelSpec, options: LoadOptions) -> LoadedModel:
        """Raises `Unsupported`."""
        raise self._capabilities.refusal("load", self.name)

    async def unload(self, spec: ModelSpec, *, force: bool) -> int:
        """Raises `Unsupported`."""
        raise self._capabilities.refusal("unload", self.name)

    async def loaded(self) -> list[LoadedModel]:
        """Raises `Unsupported`."""
        raise self._capabilities.refusal("loaded", self.name)
