"""The repetition penalty over the last tokens only: transformers' own, which looks at all of them, given a window."""

from __future__ import annotations

from typing import Any

from transformers import RepetitionPenaltyLogitsProcessor


class WindowedPenalty:
    """A logits processor; `padding` counts the padding tokens before each row (a tensor), None: no row has any."""

    def __init__(self, penalty: float, window: int, padding: Any) -> None:
        self._penalty = penalty
        self._window = window
        self._padding = padding
        self._whole = RepetitionPenaltyLogitsProcessor(penalty)

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        begin = max(0, input_ids.shape[1] - self._window)
        if self._padding is None:
            return self._whole(input_ids[:, begin:], scores)
        ignored = (self._padding - begin).clamp(min=0)
        return RepetitionPenaltyLogitsProcessor(self._penalty, ignored)(input_ids[:, begin:], scores)
