"""How many threads compute: as many of the wanted ones as other processes leave cores for, looked at while they work.

PyTorch's threads meet after every operation, and there are hundreds in one token: they have to spin while they wait
for each other (to sleep and be woken costs a third of the speed), and where one has to share its core all wait for it.
On two cores beside one busy process two spinning threads fell to a tenth of their speed, and a single one lost nothing
(docs/benchmarks.md). Knows processor times, not models.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import torch

from llmspell_providers.candle.cpu import Foreign, foreign_use

LOOK_S = 0.25
"""Between two looks: the system counts processor time in hundredths of a second."""
_SHARED = 0.4
"""A core of which others take less than this is still worth its thread."""


class Threads:
    """The number for all who compute with one model: each calls `begin` after a rest, and `fit` after every step."""

    def __init__(
        self,
        most: int,
        *,
        look: Callable[[], Foreign | None] = foreign_use,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`look` is None where the system does not tell: then it is always `most`."""
        self._most = most
        self._look = look
        self._clock = clock
        self._lock = threading.Lock()
        self._fitted_at = self._looked_at = clock()
        self._seen = look()
        self.count = most

    def begin(self) -> None:
        """As `fit`; what others did during a long rest says nothing about now."""
        with self._lock:
            now = self._clock()
            if now - self._fitted_at >= LOOK_S:
                self._looked_at, self._seen = now, self._look()
        self.fit()

    def fit(self) -> None:
        """Makes the calling thread compute with as many threads as there is room for now."""
        now = self._clock()
        if now - self._looked_at >= LOOK_S:
            with self._lock:
                self._judge(now)
        self._fitted_at = now
        # OpenMP counts threads for each thread that computes.
        if torch.get_num_threads() != self.count:
            torch.set_num_threads(self.count)

    def _judge(self, now: float) -> None:
        elapsed_s, before = now - self._looked_at, self._seen
        if elapsed_s < LOOK_S:
            return  # another thread has just done it
        self._looked_at, self._seen = now, self._look()
        if before is None or self._seen is None:
            return
        taken = max(0.0, (self._seen.used_s - before.used_s) / elapsed_s)
        self.count = max(1, min(self._most, int(self._seen.cores - taken + _SHARED)))
