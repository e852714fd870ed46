"""How often one host is asked: a pause between two requests to it, as long as this process lives.

Each worker counts for itself: with `tools.workers` of them a host is asked at most that many times in a pause.
"""

from __future__ import annotations

import time
from collections.abc import Callable

_MOST_HOSTS = 10_000


class Pace:
    """When hosts were asked last."""

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._asked: dict[str, float] = {}

    def wait(self, host: str, pause_s: float, longest_s: float) -> None:
        """Waits until the last request to a host is `pause_s` ago, at most `longest_s`, and counts one more."""
        if not pause_s:
            return
        left_s = min(self._asked.pop(host, self._clock() - pause_s) + pause_s - self._clock(), longest_s)
        if left_s > 0:
            self._sleep(left_s)
        while len(self._asked) >= _MOST_HOSTS:
            del self._asked[next(iter(self._asked))]  # the one that was asked longest ago
        self._asked[host] = self._clock()


PACE = Pace()
"""This process's."""
