"""The configured providers as a list: what each is, whether it could be asked, and what it takes. Asks no server."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from llmspell_protocol.areas.model import ConfiguredProvider, ModelProvidersReply
from llmspell_protocol.errors import LlmspellError
from llmspell_providers.registry import ProviderRegistry

if TYPE_CHECKING:
    from llmspell_profiles.schema.providers import ProviderSettings
    from llmspell_providers.base import Provider


async def configured_providers(registry: ProviderRegistry) -> ModelProvidersReply:
    """The providers of the settings, and vendors that there is a key for, by name."""
    tables = {**registry.tables, **{name: registry.table(name) for name in await registry.keyed()}}
    rows = await asyncio.gather(*(_described(registry, name, table) for name, table in sorted(tables.items())))
    return ModelProvidersReply(providers=rows)


async def _described(registry: ProviderRegistry, name: str, table: ProviderSettings) -> ConfiguredProvider:
    reason = None if table.enabled else "it is switched off"
    supports: dict[str, bool] = {}
    models = None
    try:
        provider = registry.get(name) if table.enabled else registry.made_for(name, table)
        supports = provider.capabilities().supports
        if table.enabled:
            await provider.demand_configured()
            models = await _on_disk(provider, table)
    except LlmspellError as error:
        reason = reason or error.message
    size = getattr(table, "context_size", None)
    return ConfiguredProvider(
        name=name,
        type=table.provider_type,
        enabled=table.enabled,
        available=reason is None,
        reason=reason,
        default_model=table.default_model,
        streaming=supports.get("streaming", False),
        images=supports.get("images", False),
        embeddings=supports.get("embed", False),
        context_tokens=size if isinstance(size, int) else None,
        models=models,
    )


async def _on_disk(provider: Provider, table: ProviderSettings) -> list[str] | None:
    """What is installed where that stands on this machine's disk; others would have to be asked."""
    return [model.id for model in await provider.list_models()] if table.provider_type == "candle" else None
