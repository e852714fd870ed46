"""How many operations of a kind there were in the last minute."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Hashable

from llmspell_protocol.errors import Busy

_MINUTE_S = 60.0
_MOST_NAMES = 10_000


class Rate:
    """Counts by name; those of the last minute count."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._times: dict[Hashable, deque[float]] = {}

    def admit(self, name: Hashable, limit: int, setting: str) -> None:
        """Counts one more.

        Raises:
            Busy: there were `limit` in the last minute; `details.retry_after_s` says when there is room.
        """
        times = self.recent(name)
        if len(times) >= limit:
            wait_s = round(times[0] + _MINUTE_S - self._clock(), 1) if times else _MINUTE_S
            raise Busy(
                f"rate limit: {limit} RAG operations in a minute",
                hint=f"wait {wait_s:g} s, or raise {setting}",
                details={"retry_after_s": wait_s, "setting": setting},
            )
        times.append(self._clock())

    def recent(self, name: Hashable) -> deque[float]:
        """When those of the last minute were."""
        if len(self._times) > _MOST_NAMES:
            self._times = {one: times for one, times in self._times.items() if times}
        times = self._times.setdefault(name, deque())
        while times and times[0] <= self._clock() - _MINUTE_S:
            times.popleft()
        return times
