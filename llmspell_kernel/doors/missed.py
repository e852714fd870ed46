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
MAX_AGE_S = 86_400.0
"""A notebook that was left to run overnight is looked at in the morning."""


class Missed:
    """Messages in the order in which they were published; the oldest of too many, and those of days ago, left out.

    Times are seconds of any clock.
    """

    def __init__(self) -> None:
        self._kept: deque[tuple[list[bytes], int, float]] = deque()
        self._bytes = 0
        self.left_out = 0
        """How many were left out."""

    def __len__(self) -> int:
        return len(self._kept)

    def keep(self, frames: list[bytes], now: float) -> None:
        """Keeps one more, published at this time."""
        size = sum(map(len, frames))
        self._kept.append((frames, size, now))
        self._bytes += size
        while len(self._kept) > MAX_MESSAGES or self._bytes > MAX_BYTES:
            self._leave_out()
        self.leave_out_old(now)

    def leave_out_old(self, now: float) -> None:
        """Leaves out what is too old to be of use, before `left_out` is told."""
        while self._kept and now - self._kept[0][2] > MAX_AGE_S:
            self._leave_out()

    def take(self, since: float = -inf) -> Sequence[list[bytes]]:
        """All that were published since that time; none is kept any more."""
        taken = [frames for frames, _, published in self._kept if published >= since]
        self._kept.clear()
        self._bytes = self.left_out = 0
        return taken

    def _leave_out(self) -> None:
        self._bytes -= self._kept.popleft()[1]
        self.left_out += 1
