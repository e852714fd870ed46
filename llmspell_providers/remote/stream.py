"""One open stream of a server: its first event is there, and it is counted as the server's work until it is closed."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from llmspell_providers.http.servers import Server
from llmspell_providers.remote.dialect import Gathered

if TYPE_CHECKING:
    import httpx2

_CLOSING_S = 1.0


class Stream:
    """The events of one reply, and what has come of them."""

    def __init__(self, server: Server, answer: httpx2.Response, gathered: Gathered) -> None:
        # Imported by now, with the client.
        from llmspell_providers.http.client import events

        self.server = server
        self.gathered = gathered
        self.opened_at = time.monotonic()
        self.first: Any = None
        self.ended = False
        self._answer: httpx2.Response | None = answer
        self._events = events(answer)
        server.in_flight += 1

    async def event(self) -> Any:
        """The JSON of the next event; None after the last, which `ended` tells from a null."""
        try:
            return await anext(self._events)
        except StopAsyncIteration:
            self.ended = True
            return None

    async def close(self) -> None:
        """Closes the HTTP stream, which makes the server stop; a second call does nothing."""
        answer, self._answer = self._answer, None
        if answer is None:
            return
        self.server.in_flight -= 1
        try:
            async with asyncio.timeout(_CLOSING_S):
                await self._events.aclose()
                await answer.aclose()
        except TimeoutError:
            pass  # a peer that does not even take a close
