"""How many threads compute: as many of the wanted ones as other processes leave cores for, looked at while they work.

PyTorch's threads meet after every operation, and there are hundreds in one token: they have to spin while they wait
for each other (to sleep and be woken costs a third of the speed), and where one has to share its core all wait for it.
On two cores beside one busy process two spinning threads fell to a tenth of their speed, and a single one lost nothing
(docs/benchmarks.md). Knows processor times, not models.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

from llmspell_providers.candle.cpu import Foreign, FreeCores, foreign_use


class Threads:
    """The number for all who compute with one model: each calls `begin` after a rest, and `fit` after every step."""

    def __init__(
        self,
        most: int,
        *,
        look: Callable[[], Foreign | None] = foreign_use,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """See `FreeCores`."""
        self._cores = FreeCores(most, look=look, clock=clock)

    @property
    def count(self) -> int:
        """How many threads compute."""
        return self._cores.count

    def begin(self) -> None:
        """As `fit`; what others did during a long rest says nothing about now."""
        self._compute_with(self._cores.begin())

    def fit(self) -> None:
        """Makes the calling thread compute with as many threads as there is room for now."""
        self._compute_with(self._cores.now())

    @staticmethod
    def _compute_with(count: int) -> None:
        # OpenMP counts threads for each thread that computes.
        if torch.get_num_threads() != count:
            torch.set_num_threads(count)
