"""A chat with one provider, as the models service has it once it knows which provider that is; replies are held against
their schemas here, not in a process of their own.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator

from llmspell_kernel.services.chat_turn import chat_turn
from llmspell_protocol.models import ChatChunk, ChatRequest, ChatResult
from llmspell_providers.base import Provider
from llmspell_providers.registry import LocatedModel
from llmspell_providers.schemas.gate import admit
from llmspell_providers.schemas.grammars import Grammar
from llmspell_providers.schemas.reply import check_reply
from llmspell_providers.spec import ModelSpec


class _ChecksHere:
    def prepare(self) -> None:
        """Nothing has to start."""

    async def admit(self, request: ChatRequest, grammar: Grammar | None) -> ChatRequest:
        """As the worker does."""
        return admit(request, grammar)

    async def check(self, result: ChatResult, request: ChatRequest) -> None:
        """As the worker does."""
        assert request.schema is not None
        check_reply(result.message.content, request.schema, finish_reason=result.finish_reason)


def turn(provider: Provider, request: ChatRequest, *, client: str = "me") -> AsyncGenerator[ChatChunk]:
    """Streams the reply of the model that the request names at this provider."""

    async def locate() -> LocatedModel:
        return LocatedModel(provider, ModelSpec.parse(request.model))

    return chat_turn(locate, request, client=client, checks=_ChecksHere())
