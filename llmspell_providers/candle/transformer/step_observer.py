"""What looks at a generation after every step: hands out its tokens, and says which rows are over and when to pause.

Called by transformers' loop; knows rows, not models.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from llmspell_providers.candle.transformer.row import Row


class StepWatch:
    """A stopping criterion over rows whose tokens are taken as they come.

    A row that is over is marked so, and the others go on; where the generation can be paused it stops instead, so that
    it can go on without that row. `between` is called after every step.
    """

    def __init__(
        self, rows: Sequence[Row], *, can_pause: bool, shall_pause: Callable[[], bool], between: Callable[[], None]
    ) -> None:
        self._rows = rows
        self._between = between
        self._can_pause = can_pause
        self._shall_pause = shall_pause
        self._over = [row.is_done for row in rows]
        self._flags: Any = None
        self._stopped = False

    def __call__(self, input_ids: Any, scores: Any, **_: Any) -> Any:
        # Some devices are told to stop one step late, and transformers takes that step back.
        if not self._stopped:
            tokens: list[int] = input_ids[:, -1].tolist()
            for row, token in zip(self._rows, tokens, strict=True):
                if not row.is_done:
                    row.take(token)
            self._look(input_ids.device)
            self._between()
        return self._flags

    def _look(self, device: Any) -> None:
        over = [row.is_done for row in self._rows]
        changed = over != self._over
        self._over = over
        self._stopped = all(over) or (self._can_pause and (changed or self._shall_pause()))
        if self._stopped:
            self._flags = torch.ones(len(over), dtype=torch.bool, device=device)
        elif changed or self._flags is None:
            # Kept from step to step: to send it to an accelerator each time would cost as much as a small layer.
            self._flags = torch.tensor(over, dtype=torch.bool, device=device)


class BeamWatch:
    """A stopping criterion over beams: their tokens are known only at the end, but a cancelled row stops at once."""

    def __init__(self, rows: Sequence[Row], *, between: Callable[[], None]) -> None:
        self._rows = rows
        self._between = between

    def __call__(self, input_ids: Any, scores: Any, **_: Any) -> Any:
        self._between()
        over = torch.tensor([row.is_cancelled() for row in self._rows], dtype=torch.bool, device=input_ids.device)
        return over.repeat_interleave(input_ids.shape[0] // len(self._rows))
