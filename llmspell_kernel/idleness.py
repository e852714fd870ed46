"""When an unused kernel ends: a timer that runs only while there is neither a client nor work.

Knows neither clients nor requests; it is told when either has come or gone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from llmspell_protocol.background import of_no_request


class Idleness:
    """Calls `on_idle` once `limit_s` have passed without use; 0 is never. Belongs to one event loop."""

    def __init__(self, in_use: Callable[[], bool], on_idle: Callable[[], None]) -> None:
        self._in_use = in_use
        self._on_idle = on_idle
        self._limit_s = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def limit(self, limit_s: float) -> None:
        """Sets the limit; the time begins anew."""
        self._limit_s = limit_s
        self.look()

    def look(self) -> None:
        """Something has come or gone: from here on the kernel is used, or the time begins."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._limit_s > 0 and not self._in_use():
            self._timer = of_no_request(asyncio.get_running_loop().call_later, self._limit_s, self._expired)

    def _expired(self) -> None:
        self._timer = None
        if not self._in_use():
            self._on_idle()
