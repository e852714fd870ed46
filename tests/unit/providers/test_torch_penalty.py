"""Which tokens a penalty over a window sees in rows that are filled up to one length."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.engines

PAD = 0


@pytest.mark.parametrize(
    ("window", "penalised"),
    [(1, [{3}, {7}]), (2, [{2, 3}, {6, 7}]), (3, [{2, 3}, {5, 6, 7}]), (400, [{2, 3}, {4, 5, 6, 7}])],
)
def test_the_window_has_the_last_tokens_of_each_row_and_never_its_padding(
    window: int, penalised: list[set[int]]
) -> None:
    import torch

    from llmspell_providers.candle.transformer.penalty import WindowedPenalty

    ids = torch.tensor([[PAD, PAD, 2, 3], [4, 5, 6, 7]])
    scores = WindowedPenalty(2.0, window, torch.tensor([2, 0]))(ids, torch.ones(2, 8))
    assert [set((row == 0.5).nonzero().flatten().tolist()) for row in scores] == penalised
