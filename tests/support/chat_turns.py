"""A chat with one provider, as the models service has it once it knows which provider that is."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from llmspell_kernel.services.chat_turn import chat_turn
from llmspell_protocol.models import ChatChunk, ChatRequest
from llmspell_providers.base import Provider
from llmspell_providers.registry import LocatedModel
from llmspell_providers.spec import ModelSpec


def turn(provider: Provider, request: ChatRequest, *, client: str = "me") -> AsyncGenerator[ChatChunk]:
    """Streams the reply of the model that the request names at this provider."""

    async def locate() -> LocatedModel:
        return LocatedModel(provider, ModelSpec.parse(request.model))

    return chat_turn(locate, request, client=client)
