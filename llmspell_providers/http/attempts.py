"""One request to one of several servers: which is asked, which next, after what pause, and when it is enough.

Knows limits, pauses and servers; what is asked is a function's business.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from llmspell_protocol.errors import BackendUnavailable, Busy, LlmspellError, ModelNotFound, Timeout
from llmspell_providers.http.backoff import pause_s
from llmspell_providers.http.rate import RateWindow, Spent
from llmspell_providers.http.servers import Server, Servers

if TYPE_CHECKING:
    from llmspell_profiles.schema.providers import ProviderSettings

USUAL_REPLY_TOKENS = 500
"""What a reply without a limit counts against a limit of tokens, until it tells its own number."""

T = TypeVar("T")


class Deadline(NamedTuple):
    """When a request has to have begun its answer, on the loop's clock, and whose it is: for the words of the error.

    Each further piece of a stream has `seconds` of its own: a long reply may take its time.
    """

    at: float
    seconds: int
    provider: str
    model: str | None

    @property
    def left_s(self) -> float:
        """The seconds that are left."""
        return self.at - asyncio.get_running_loop().time()

    def passed(self, server: Server) -> Timeout:
        """The error for a server that was not done in time."""
        what = server.shown if self.model is None else f"'{self.model}@{self.provider}'"
        return Timeout(
            f"{what} said nothing for {self.seconds} s",
            hint=f"raise providers.{self.provider}.timeout_seconds",
            details={"timeout_s": self.seconds, "model": self.model, "base_url": server.shown},
        )


class Attempts:
    """The servers of one provider with its rules for retries and rates; belongs to one event loop."""

    def __init__(self, provider: str, settings: ProviderSettings, servers: Servers) -> None:
        self._provider = provider
        self._retry = settings.retry
        self._retries = settings.retries
        self._limit = settings.rate_limit
        self._servers = servers
        limit = self._limit
        self._window = None if limit is None else RateWindow(limit.requests_per_minute, limit.tokens_per_minute)
        self._turn = asyncio.Lock()

    async def run(
        self, ask: Callable[[Server], Awaitable[T]], deadline: Deadline, *, tokens: int = 0
    ) -> tuple[T, Spent | None]:
        """The answer of the first server that gives one, and what it took from the limit of tokens.

        The others are asked at once when one fails; all of them again after a pause, as often as the settings say and
        never beyond the deadline.
        """
        tried: set[Server] = set()
        passing: LlmspellError | None = None  # Of this round, what may be over after a pause.
        pauses = 0
        while True:
            spent = await self._admit(tokens, deadline)
            server = self._servers.choose(tried)
            try:
                async with asyncio.timeout_at(deadline.at):
                    answer = await ask(server)
                self._servers.answered(server)
                return answer, spent
            except TimeoutError:
                self._servers.failed(server)
                raise deadline.passed(server) from None
            except LlmspellError as error:
                if error.retryable:
                    passing = error
                    if isinstance(error, BackendUnavailable | Busy):
                        self._servers.failed(server)
                # Another server may have the model or the address that this one lacks.
                elif not isinstance(error, BackendUnavailable | ModelNotFound):
                    raise
                tried.add(server)
                if len(tried) < len(self._servers.all):
                    continue
                if passing is None:
                    raise
                pause = self._pause_s(pauses, passing)
                if not self._may_pause(passing, pauses) or pause >= deadline.left_s:
                    raise passing from None
            await asyncio.sleep(pause)
            tried.clear()
            passing = None
            pauses += 1

    def _may_pause(self, error: LlmspellError, pauses: int) -> bool:
        waits = not isinstance(error, Busy) or self._limit is None or self._limit.auto_retry
        return waits and pauses < self._retries

    def _pause_s(self, pauses: int, error: LlmspellError) -> float:
        return pause_s(
            pauses,
            initial_ms=self._retry.initial_delay_ms,
            longest_ms=self._retry.max_delay_ms,
            multiplier=self._retry.backoff_multiplier,
            asked_s=error.details.get("retry_after_s"),
        )

    async def _admit(self, tokens: int, deadline: Deadline) -> Spent | None:
        """Waits until the limit in the settings allows one more request.

        Raises:
            Busy: it would have to wait and may not, or not so long.
        """
        if self._window is None or self._limit is None:
            return None
        # First come, first served: the request that waits here keeps later ones behind it.
        async with self._turn:
            while (wait := self._window.wait_s(tokens)) > 0:
                if not self._limit.auto_retry or wait >= deadline.left_s:
                    raise Busy(
                        f"{self._provider}: the limit in providers.{self._provider}.rate_limit is reached",
                        hint=f"try again in {wait:.0f} s, or raise the limit",
                        details={"backend": self._provider, "retry_after_s": wait},
                    )
                await asyncio.sleep(wait)
            return self._window.spend(tokens)
