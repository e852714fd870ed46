"""The servers of one provider: which one is asked next, and which is left alone for a while. Knows no HTTP.

The one with the fewest requests of ours in flight is chosen, of equal ones the one that was asked longest ago. A
server that failed is asked last until some seconds have passed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from llmspell_protocol.addresses import Address, parse_address

REST_S = 15.0
"""How long a server that failed is asked only when all others failed too."""


class Server:
    """One address; `client` is whatever talks to it, None until it is first asked.

    Raises `BadAddress` (a ValueError), which the check of the settings leaves no cause for.
    """

    def __init__(self, base_url: str) -> None:
        self.address: Address = parse_address(base_url)
        self.client: Any = None
        self.in_flight = 0
        self.asked = 0
        self.rests_until = float("-inf")

    @contextmanager
    def busy(self) -> Iterator[None]:
        """Counts as a request in flight."""
        self.in_flight += 1
        try:
            yield
        finally:
            self.in_flight -= 1

    @property
    def shown(self) -> str:
        """The address as it may be shown: without a password or a query."""
        return self.address.url


class Servers:
    """All addresses of a provider, one at least."""

    def __init__(self, base_urls: Sequence[str], clock: Callable[[], float] = time.monotonic) -> None:
        self.all = [Server(url) for url in base_urls]
        self._clock = clock
        self._turn = 0

    def choose(self, tried: Collection[Server] = ()) -> Server:
        """The server to ask next, of those that are not in `tried` (there has to be one)."""
        now = self._clock()
        left = [server for server in self.all if server not in tried]
        chosen = min(left, key=lambda server: (server.rests_until > now, server.in_flight, server.asked))
        self._turn += 1
        chosen.asked = self._turn
        return chosen

    def failed(self, server: Server) -> None:
        """It did not answer, or said that it can't."""
        server.rests_until = self._clock() + REST_S

    def answered(self, server: Server) -> None:
        """It works again."""
        server.rests_until = float("-inf")
