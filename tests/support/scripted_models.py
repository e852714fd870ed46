"""Models that answer what a test tells them to, one piece at a time, when the test lets them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from llmspell_protocol.errors import LlmspellError
from llmspell_protocol.models import ChatChunk, ChatMessage, ChatRequest, ChatResult, PrefillProgress, Timings, Usage


class ScriptedModels:
    """A models service with a script in place of engines.

    It answers `echo N: LAST MESSAGE`, N counting from 1, word by word. While `gate` is not set it stands still after
    the first word; `failure` is raised after the first word in place of the rest. `begun` counts the answers whose
    first word is out: acquire it to wait for one.
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
        text = f"echo {len(self.asked)}: {request.messages[-1].content}"
        try:
            yield ChatChunk(prefill=PrefillProgress(processed=3, total=3))
            head, space, rest = text.partition(" ")
            yield ChatChunk(text=head + space)
            self.begun.release()
            await self.gate.wait()
            if self.failure is not None:
                raise self.failure
            yield ChatChunk(text=rest)
            yield ChatChunk(
                result=ChatResult(
                    message=ChatMessage(role="assistant", content=text, reasoning="because"),
                    finish_reason="stop",
                    usage=Usage(prompt_tokens=3, completion_tokens=2),
                    timings=Timings(decode_ms=1.0),
                    model=request.model,
                    backend="scripted",
                )
            )
        finally:
            self.running -= 1
