"""Requests to an Ollama daemon: time limits, repeats, and what it says as errors of ours.

Knows how to ask, not what is asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

from llmspell_protocol.errors import LlmspellError
from llmspell_providers.http.attempts import Attempts, Deadline
from llmspell_providers.http.servers import Server, Servers
from llmspell_providers.ollama import failures
from llmspell_providers.ollama.memory import OllamaMemory
from llmspell_providers.ollama.server import FOREIGN, OllamaServer

if TYPE_CHECKING:
    from llmspell_profiles.schema.providers import OllamaSettings
    from llmspell_providers.http.rate import Spent
    from llmspell_providers.ollama.client import OllamaClient

T = TypeVar("T")


class OllamaCalls:
    """The requests of one provider to its server; belongs to one event loop."""

    def __init__(self, name: str, settings: OllamaSettings, server: OllamaServer) -> None:
        self.server = server
        self.memory = OllamaMemory(name, server)
        self._name = name
        self._seconds = settings.timeout_seconds
        self._servers = Servers((settings.base_url,))
        self._attempts = Attempts(name, settings, self._servers)

    async def answer(self, model: str, ask: Callable[[OllamaClient], Awaitable[T]], *, tokens: int = 0) -> T:
        """What the server answers to a call without a stream."""
        await self.server.ready()
        answer, _ = await self.attempt(model, ask, self.deadline(model), tokens=tokens)
        return answer

    async def once(self, model: str, ask: Callable[[OllamaClient], Awaitable[T]]) -> T:
        """The same for a call that must not be repeated."""
        client = await self.server.client()
        return await self._in_time(ask(client), self.deadline(model), model)

    async def attempt(
        self, model: str, ask: Callable[[OllamaClient], Awaitable[T]], deadline: Deadline, *, tokens: int
    ) -> tuple[T, Spent | None]:
        """The first good answer, and what it took from the limit of tokens."""

        async def ask_server(server: Server) -> T:
            await self.server.ready()
            client = await self.server.client()
            with self.server.failures(self.said(model)):
                return await ask(client)

        return await self._attempts.run(ask_server, deadline, tokens=tokens)

    async def next(self, lines: AsyncGenerator[Any, None], deadline: Deadline, model: str) -> Any:
        """The next line of a stream; None after the last."""
        # Around each step, not around the loop: a timeout must not strike while the reader of the chunks is at work.
        at = asyncio.get_running_loop().time() + deadline.seconds
        return await self._in_time(anext(lines, None), deadline._replace(at=at), model)

    async def too_long(self, model: str, num_ctx: int | None, estimate: int) -> LlmspellError:
        """The error with both numbers; Ollama tells none, and has the model in memory by now."""
        limit = num_ctx or await self.memory.context_length(model)
        return failures.too_long(model, self._name, limit=limit, estimate=estimate)

    def said(self, model: str) -> Callable[[str, int], LlmspellError]:
        """What makes an error of a text and a status of the server."""
        return lambda text, status: self._failure(text, status, model)

    def _failure(self, text: str, status: int, model: str) -> LlmspellError:
        if failures.is_foreign(text, status):
            return self.server.unavailable(FOREIGN, why=f"status {status}: {text[:100]}")
        return failures.request_error(text, status, model=model, backend=self._name)

    def deadline(self, model: str) -> Deadline:
        """When a request that begins now has to be done."""
        return Deadline(asyncio.get_running_loop().time() + self._seconds, self._seconds, self._name, model)

    async def _in_time(self, answer: Awaitable[T], deadline: Deadline, model: str) -> T:
        try:
            async with asyncio.timeout_at(deadline.at):
                with self.server.failures(self.said(model)):
                    return await answer
        except TimeoutError:
            raise deadline.passed(self._servers.all[0]) from None
