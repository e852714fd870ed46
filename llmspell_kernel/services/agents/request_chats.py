"""The models as one request's agents ask them: each reply is recorded where the request is, and answered where it is
replayed. Knows no agent."""

from __future__ import annotations

import base64
from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractContextManager, aclosing
from typing import Any

from llmspell_kernel.parts import PartSink, followed, part_of, recorded
from llmspell_kernel.request import Content, Request
from llmspell_kernel.services.agents.chats import Chats
from llmspell_protocol.content import to_content
from llmspell_protocol.models import ChatChunk, ChatMessage, ChatRequest, ChatResult


class RequestChats:
    """What agents need of the models service, as parts of `request`; worth it where that is followed."""

    def __init__(self, request: Request, chats: Chats) -> None:
        self._request = request
        self._chats = chats

    async def demand_backend(self, model: str) -> None:
        """As the service."""
        await self._chats.demand_backend(model)

    def default_model(self, provider: str | None = None) -> str:
        """As the service."""
        return self._chats.default_model(provider)

    async def demand_fit(self, text: str, schema: object) -> None:
        """As the service."""
        await self._chats.demand_fit(text, schema)

    async def chat(self, request: ChatRequest, *, client: str) -> AsyncGenerator[ChatChunk]:
        """Streams a reply; one from a record comes in one piece."""
        with self._part(_asked(request)) as part:
            if part.answers is not None:
                result = await followed(
                    part,
                    lambda content: self._result(content, request, client),
                    shown=to_content,
                    made=_result_in,
                )
                yield ChatChunk(text=result.message.content)
                yield ChatChunk(result=result)
                return
            with recorded(part) as tell:
                async with aclosing(self._chats.chat(request, client=client)) as chunks:
                    async for chunk in chunks:
                        if chunk.result is not None:
                            tell(to_content(chunk.result))
                        yield chunk

    async def tokenize(self, model: str, text: str) -> Sequence[int]:
        """The model's own tokens of a text."""
        with self._part({"action": "tokenize", "model": model, "text": text}) as part:

            async def work(content: Content) -> Sequence[int]:
                return await self._chats.tokenize(str(content["model"]), str(content["text"]))

            return await followed(
                part,
                work,
                shown=lambda tokens: {"tokens": list(tokens), "count": len(tokens)},
                made=lambda content: list(content["tokens"]),
            )

    async def _result(self, content: Content, request: ChatRequest, client: str) -> ChatResult:
        """The reply to what is asked in a replay, which may be another request than the agent's."""
        if content != _asked(request):
            # A replay changes something.
            from llmspell_kernel.validate import validated

            request = validated(content, ChatRequest, "chat", what="Invalid modification")
        async with aclosing(self._chats.chat(request, client=client)) as chunks:
            async for chunk in chunks:
                if chunk.result is not None:
                    return chunk.result
        raise AssertionError(f"the answer of {request.model} ended without a result")

    def _part(self, content: Content) -> AbstractContextManager[Request]:
        request = self._request
        return part_of(
            request,
            content,
            msg_type="model_request",
            sink=PartSink(request),
        )


def _asked(request: ChatRequest) -> Content:
    """The request as a client's has it: without what it leaves as it is."""
    content: Content = {
        name: value
        for name in ("model", "prompt", "tools", "tool_choice", "schema", "stream", "device", "speculation", "think")
        if (value := to_content(getattr(request, name))) is not None and value != []
    }
    content |= {name: True for name in ("raw", "truncate") if getattr(request, name)}
    content["messages"] = [_message(message) for message in request.messages]
    content["options"] = {name: value for name, value in to_content(request.options).items() if value is not None}
    return {"action": "chat", **content}


def _message(message: ChatMessage) -> dict[str, Any]:
    content = {name: value for name, value in to_content(message).items() if value is not None and value != []}
    if message.images:
        content["images"] = [base64.b64encode(image).decode() for image in message.images]
    return content


def _result_in(content: Content) -> ChatResult:
    # Only a replay needs it.
    from llmspell_kernel.validate import restored

    found: ChatResult = restored(content, ChatResult)
    return found
