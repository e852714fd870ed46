"""What can't be done with a model on somebody else's machine: everything about files and memory."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from llmspell_protocol.errors import Unsupported
from llmspell_protocol.models import LoadedModel, LoadOptions, PullProgress
from llmspell_providers.spec import ModelSpec


class ElsewhereModels:
    """The operations of a provider that need the model here; each says so."""

    name: str

    async def pull(
        self, spec: ModelSpec, *, force: bool, quantization: str | None
    ) -> AsyncGenerator[PullProgress, None]:
        """Raises `Unsupported`."""
        raise self._lacks("pull", "its models are on somebody else's machine")
        yield  # pragma: no cover, makes this a generator

    async def remove(self, spec: ModelSpec, *, force: bool) -> int:
        """Raises `Unsupported`."""
        raise self._lacks("remove", "its models are on somebody else's machine")

    async def verify(self, spec: ModelSpec) -> dict[str, object]:
        """Raises `Unsupported`."""
        raise self._lacks("verify", "its models are on somebody else's machine")

    async def load(self, spec: ModelSpec, options: LoadOptions) -> LoadedModel:
        """Raises `Unsupported`: the server decides what it has in memory."""
        raise self._lacks("load", "the server decides what it has in memory")

    async def unpin(self, spec: ModelSpec) -> None:
        """Raises `Unsupported`."""
        raise self._lacks("unpin", "the server decides what it has in memory")

    async def unload(self, spec: ModelSpec, *, force: bool) -> int:
        """Raises `Unsupported`."""
        raise self._lacks("unload", "the server decides what it has in memory")

    async def loaded(self) -> list[LoadedModel]:
        """Nothing here."""
        return []

    def _lacks(self, operation: str, why: str) -> Unsupported:
        return Unsupported(
            f"{self.name} can't do '{operation}': {why}", details={"operation": operation, "backend": self.name}
        )
