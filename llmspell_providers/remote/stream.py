"""One open stream of a server: its first event is there, and it is counted as the server's work until it is closed."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from llmspell_providers.http.servers import Server
from llmspell_providers.remote.dialect import Events, Gathered

_CLOSING_S = 1.0


class Stream:
    """The events of one reply, and what has come of them."""

    def __init__(self, server: Server, events: Events, gathered: Gathered) -> None:
        self.server = server
        self.gathered = gathered
        self.opened_at = time.monotonic()
        self.first: Any = None
        self._events: Events | None = events
        server.in_flight += 1

    async def event(self) -> Any:
        """The next event; None after the last."""
        assert self._events is not None
        return await anext(self._events, None)

    async def close(self) -> None:
        """Closes the HTTP stream, which makes the server stop; a second call does nothing."""
        events, self._events = self._events, None
        if events is None:
            return
        self.server.in_flight -= 1
        try:
            async with asyncio.timeout(_CLOSING_S):
                await events.close()
        except TimeoutError:
            pass  # a peer that does not even take a close
