"""Which format of numbers a checkpoint is computed in on which device."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.engines

CASES = [
    # T5 in float16 overflows in its feed-forward layers.
    ("t5", "float16", "cuda:0", "bfloat16"),
    ("mt5", "float16", "metal", "bfloat16"),
    ("t5", "float16", "cpu", "float32"),
    ("t5", "bfloat16", "cpu", "float32"),
    ("t5", "float32", "cuda:0", "float32"),
    ("t5", "bfloat16", "metal", "bfloat16"),
    ("llama", "float16", "cuda:1", "float16"),
    ("llama", "bfloat16", "cpu", "float32"),
]


@pytest.mark.parametrize(("kind", "saved", "device", "computed"), CASES)
def test_a_checkpoint_is_computed_in_its_own_format_but_for_float16_t5_and_on_a_processor(
    kind: str, saved: str, device: str, computed: str
) -> None:
    import torch
    from transformers import AutoConfig

    from llmspell_providers.candle.transformer.weights import computed_dtype

    config = AutoConfig.for_model(kind, dtype=getattr(torch, saved))
    assert computed_dtype(config, device) == getattr(torch, computed)


def test_a_checkpoint_that_names_no_format_keeps_that_of_its_weights_on_an_accelerator() -> None:
    import torch
    from transformers import AutoConfig

    from llmspell_providers.candle.transformer.weights import computed_dtype

    assert computed_dtype(AutoConfig.for_model("t5"), "cuda:0") == "auto"
    assert computed_dtype(AutoConfig.for_model("t5"), "cpu") == torch.float32
