"""For images that a model can't be shown: an installed one that sees, named in the error. Knows no messages."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

from llmspell_protocol.errors import LlmspellError, Unsupported
from llmspell_protocol.models import ChatChunk
from llmspell_providers.registry import ProviderRegistry
from llmspell_providers.spec import ModelSpec

VISION = "vision"
"""The capability of a model that sees."""


async def with_a_seeing_model(
    chunks: AsyncGenerator[ChatChunk], registry: ProviderRegistry
) -> AsyncGenerator[ChatChunk]:
    """The same chunks; where images are refused the hint names an installed model that sees, if there is one."""
    try:
        async with aclosing(chunks):
            async for chunk in chunks:
                yield chunk
    except Unsupported as error:
        if error.details.get("operation") == "images" and (found := await _seeing(registry)) is not None:
            error.hint = f"{found} sees: llmspell chat -m {found} --image FILE PROMPT"
            error.details["seeing"] = found
        raise


async def _seeing(registry: ProviderRegistry) -> str | None:
    """The first installed model, by name, that sees."""
    for name in registry.local:
        provider = registry.get(name)
        if "images" in provider.capabilities().lacks:
            continue
        try:
            ids = sorted(one.id for one in await provider.list_models())
        except LlmspellError:
            continue  # A backend that is down shows nothing to anyone.
        specs = [ModelSpec.parse(one).with_backend(name) for one in ids]
        infos = await asyncio.gather(*map(provider.info, specs), return_exceptions=True)
        for info in infos:
            if not isinstance(info, BaseException) and VISION in info.capabilities:
                return f"{info.id}@{name}"
    return None
