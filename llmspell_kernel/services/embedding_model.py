"""Which model makes the vectors of a request that names none: the configured one, an installed one, else the default
model, with a warning that says what to pull. Knows no messages.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

from llmspell_protocol.errors import LlmspellError
from llmspell_protocol.models import LocalModel, ModelInfo
from llmspell_providers.base import Provider
from llmspell_providers.registry import ProviderRegistry
from llmspell_providers.spec import ModelSpec


class EmbeddingModel(NamedTuple):
    """The model for texts to be embedded, and what should be known about the choice."""

    model: str
    warnings: Sequence[str] = ()
    better: str | None = None
    """What to pull in place of a chat model, as it is typed."""


async def embedding_model(registry: ProviderRegistry) -> EmbeddingModel:
    """The model of requests that name none.

    `models.embedding`, else the first model (by name; our own backend before Ollama) that embeds and does not chat,
    else the default model.

    Raises:
        ConfigError: nothing is set or installed, and the settings have no default model.
    """
    found, warnings, better = await embedder(registry)
    if found is not None:
        return EmbeddingModel(found, warnings)
    default = registry.default_model()
    advice = f"; for better vectors: llmspell model pull {better}" if better else ""
    warning = f"no embedding model is installed: the vectors are those of {default}, a chat model{advice}"
    return EmbeddingModel(default, (warning,), better)


class Embedder(NamedTuple):
    """A model that is there for vectors; None: none is set or installed, and what to pull (`better`)."""

    model: str | None
    warnings: Sequence[str] = ()
    better: str | None = None


async def embedder(registry: ProviderRegistry, backend: str | None = None) -> Embedder:
    """`models.embedding`, else the first installed model that embeds and does not chat; of one `backend`, or of all."""
    if registry.embedding is not None and backend is None:
        return Embedder(registry.embedding)
    # Our own backend reads its answer from the disk; the daemon is asked once a model.
    for name in reversed(registry.local if backend is None else [registry.table_name(backend)]):
        found = await _installed(registry.get(name))
        if found:
            return Embedder(found[0], (_several(found),) if len(found) > 1 else ())
    return Embedder(None, better=_to_be_pulled(registry))


async def _installed(provider: Provider) -> list[str]:
    try:
        models: Sequence[LocalModel] = await provider.list_models()
    except LlmspellError:
        return []  # A backend that is down has nothing to embed with.
    infos = await asyncio.gather(*(_info(provider, model.id) for model in models))
    return sorted(f"{info.id}@{provider.name}" for info in infos if info is not None and embeds_only(info))


async def _info(provider: Provider, model_id: str) -> ModelInfo | None:
    try:
        return await provider.info(ModelSpec.parse(model_id).with_backend(provider.name))
    except LlmspellError:
        return None  # Damaged, or gone since it was listed.


def embeds_only(info: ModelInfo) -> bool:
    """Whether a model is there for vectors: one that chats gives poor ones."""
    return "embed" in info.capabilities and "chat" not in info.capabilities


def _several(found: Sequence[str]) -> str:
    others = ", ".join(found[1:])
    return f"several embedding models are installed: using {found[0]}, not {others} (models.embedding chooses)"


def _to_be_pulled(registry: ProviderRegistry) -> str | None:
    # The catalog is a file to parse, which a choice that succeeds does not need.
    from llmspell_providers.library.catalog import Catalog

    kinds = [registry.kind(name) for name in reversed(registry.local)]
    return next((f"{entry.id}@{entry.backend}" for kind in kinds for entry in Catalog.load().embedders(kind)), None)
