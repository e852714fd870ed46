"""What was published while no frontend listened, for the next one that does. Knows frames and times, not what they say.

A notebook server that is started anew, or a laptop that wakes up, subscribes again and sees what its cells have printed
meanwhile. Where another frontend listens there is nothing to keep: IOPub can't send to one listener alone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from math import inf

MAX_MESSAGES = 1_000
MAX_BYTES = 4 * 1024 * 1024
"""A notebook server passes on 1,000 messages and 1 MB a second; the newest are kept."""


class Missed:
    """Messages in the order in which they were published, the oldest of too many left out."""

    def __init__(self) -> None:
        self._kept: deque[tuple[list[bytes], int, float]] = deque()
        self._bytes = 0
        self.left_out = 0
        """How many were left out."""

    def __len__(self) -> int:
        return len(self._kept)

    def keep(self, frames: list[bytes], now: float) -> None:
        """Keeps one more, published at this time (seconds of any clock)."""
        size = sum(map(len, frames))
        self._kept.append((frames, size, now))
        self._bytes += size
        while len(self._kept) > MAX_MESSAGES or self._bytes > MAX_BYTES:
            self._bytes -= self._kept.popleft()[1]
            self.left_out += 1

    def take(self, since: float = -inf) -> Sequence[list[bytes]]:
        """All that were published since that time; none is kept any more."""
        taken = [frames for frames, _, published in self._kept if published >= since]
        self._kept.clear()
        self._bytes = self.left_out = 0
        return taken
