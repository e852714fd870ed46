"""Models that answer what a test tells them to, one piece at a time, when the test lets them."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from typing import Any

import jsonschema

from llmspell_protocol.errors import LlmspellError, SchemaViolation, Unsupported
from llmspell_protocol.models import (
    ChatChunk,
    ChatMessage,
    ChatRequest,
    ChatResult,
    PrefillProgress,
    Timings,
    ToolCall,
    Usage,
)

Reply = str | Sequence[ToolCall] | LlmspellError | Callable[[ChatRequest], str]


def called(name: str, arguments: Mapping[str, Any] | None = None, *, id: str = "") -> ToolCall:
    """A call as a model writes it; most servers name none of them."""
    return ToolCall(id=id, name=name, arguments=arguments or {})


class ScriptedModels:
    """A models service with a script in place of engines.

    It gives the `replies` of the test, in their order: a text, calls of tools, an error, or what a function makes of
    the request. Without one it answers `echo N: LAST MESSAGE`, N counting from 1, word by word. While `gate` is not set
    it stands still after the first word; `failure` is raised after the first word in place of the rest. `begun` counts
    the answers whose first word is out: acquire it to wait for one.
    """

    def __init__(self) -> None:
        self.asked: list[ChatRequest] = []
        self.clients: list[str] = []
        self.running = 0
        self.most_running = 0
        self.failure: LlmspellError | None = None
        self.gate = asyncio.Event()
        self.gate.set()
        self.begun = asyncio.Semaphore(0)
        self.replies: deque[Reply] = deque()
        self.tokens_a_reply = 2
        self.has_tools = True
        """Without, a request with tools is refused, as of a model whose template has no place for them."""

    def default_model(self, provider: str | None = None) -> str:
        """The spec for requests that name no model."""
        return f"{provider or 'scripted'}/default"

    async def demand_backend(self, model: str) -> None:
        """Every backend is there."""

    async def chat(self, request: ChatRequest, *, client: str) -> AsyncGenerator[ChatChunk]:
        """Streams the answer; the last chunk carries the result."""
        self.asked.append(request)
        self.clients.append(client)
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        reply = self._reply(request)
        text, calls = (reply, ()) if isinstance(reply, str) else ("", tuple(reply))
        try:
            yield ChatChunk(prefill=PrefillProgress(processed=3, total=3))
            head, space, rest = text.partition(" ")
            yield ChatChunk(text=head + space)
            self.begun.release()
            await self.gate.wait()
            if self.failure is not None:
                raise self.failure
            yield ChatChunk(text=rest, tool_calls=calls)
            yield ChatChunk(
                result=ChatResult(
                    message=ChatMessage(role="assistant", content=text, reasoning="because", tool_calls=calls),
                    finish_reason="tool_calls" if calls else "stop",
                    usage=Usage(prompt_tokens=3, completion_tokens=self.tokens_a_reply),
                    timings=Timings(decode_ms=1.0),
                    model=request.model,
                    backend="scripted",
                )
            )
        finally:
            self.running -= 1

    async def tokenize(self, model: str, text: str) -> Sequence[int]:
        """A number a word."""
        return [len(word) for word in text.split()]

    async def demand_fit(self, text: str, schema: object) -> None:
        """Raises `SchemaViolation` where a JSON text does not fit a schema."""
        try:
            jsonschema.validate(json.loads(text), schema)
        except jsonschema.ValidationError as error:
            raise SchemaViolation(f"the value does not fit the schema: {error.message}") from error

    def _reply(self, request: ChatRequest) -> str | Sequence[ToolCall]:
        if request.tools and not self.has_tools:
            raise Unsupported("scripted can't do 'tools'", details={"operation": "tools"})
        if not self.replies:
            return f"echo {len(self.asked)}: {request.messages[-1].content}"
        reply = self.replies.popleft()
        if isinstance(reply, LlmspellError):
            raise reply
        return reply(request) if callable(reply) else reply
