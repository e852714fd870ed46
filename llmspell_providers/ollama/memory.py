"""What an Ollama server has in memory, and what it swapped out without a word. Knows lists, not requests."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from llmspell_protocol.errors import BackendUnavailable
from llmspell_providers.ollama.content import tagged
from llmspell_providers.ollama.server import OllamaServer

Residents = Sequence[Mapping[str, Any]]

log = logging.getLogger(__name__)


class OllamaMemory:
    """The memory of one server, as `/api/ps` tells it."""

    def __init__(self, backend: str, server: OllamaServer) -> None:
        self._backend = backend
        self._server = server

    async def residents(self) -> Residents | None:
        """What is in memory; None if that isn't told: a server that loads a model may be slow to say."""
        try:
            return await self._server.models("/api/ps")
        except BackendUnavailable:
            return None

    async def gone(self, before: Residents | None, name: str) -> list[str]:
        """The models that are no longer in memory since `name` was asked for."""
        if not before or tagged(name) in (one["name"] for one in before):
            return []
        after = await self.residents()
        if after is None:
            return []
        here = {one["name"] for one in after}
        gone = [one["name"] for one in before if one["name"] not in here]
        if gone:
            log.warning("%s unloaded %s for %s", self._backend, ", ".join(gone), name)
        return gone

    async def context_length(self, name: str) -> int | None:
        """The context that a model was loaded with, if it is in memory."""
        held = next((one for one in await self.residents() or () if one["name"] == tagged(name)), {})
        length = held.get("context_length")
        return length if isinstance(length, int) else None


def holds(residents: Residents, name: str, num_ctx: int | None) -> bool:
    """Whether a model is in memory with the context that is wanted; with another one it is loaded again."""
    for one in residents:
        if one["name"] == tagged(name):
            return num_ctx is None or one.get("context_length") in (None, num_ctx)
    return False
