"""How much memory a model will take."""

from __future__ import annotations

import dataclasses

import pytest

from llmspell_providers.library.manifest import Manifest, ManifestFile
from llmspell_providers.residency.estimate import (
    Estimate,
    estimate,
    kv_elements_a_token,
)

SMOLLM2 = Manifest(
    name="smollm2",
    variant="135m",
    format="gguf",
    quantization="Q4_1",
    files=(ManifestFile("model.gguf", 98_362_432, "0" * 64),),
    source="file:///model.gguf",
    layers=30,
    heads=9,
    kv_heads=3,
    key_length=64,
    value_length=64,
    embedding_length=576,
    vocab_size=49_152,
    modified_at="2025-01-01T00:00:00Z",
)

MEASURED = {(1, 512): 176_222_208, (1, 4096): 258_871_296, (4, 4096): 541_642_752, (4, 8192): 919_175_168}
"""Resident bytes of real workers right after the load, by slots and context, with xllamacpp."""


@pytest.mark.parametrize(("slots", "context"), MEASURED)
def test_the_estimate_is_within_five_percent_of_what_workers_took(slots: int, context: int) -> None:
    expected = estimate(SMOLLM2, context_size=context, slots=slots, batch_size=256, prompt_cache_bytes=0)
    assert expected.loaded_bytes == pytest.approx(MEASURED[slots, context], rel=0.05)


def test_a_token_costs_keys_and_values_in_every_layer() -> None:
    assert kv_elements_a_token(SMOLLM2) == 30 * 3 * (64 + 64)
    expected = estimate(SMOLLM2, context_size=512, slots=2, batch_size=1, prompt_cache_bytes=0)
    assert expected.kv_cache_bytes == 30 * 3 * (64 + 64) * 2 * 512 * 2


def test_dimensions_that_the_file_leaves_out_follow_from_the_width() -> None:
    sparse = dataclasses.replace(SMOLLM2, key_length=None, value_length=None)
    assert kv_elements_a_token(sparse) == kv_elements_a_token(SMOLLM2)
    without_grouping = dataclasses.replace(SMOLLM2, kv_heads=None)
    assert kv_elements_a_token(without_grouping) == 3 * kv_elements_a_token(SMOLLM2)


def test_a_model_of_unknown_shape_is_estimated_by_its_weights() -> None:
    unknown = dataclasses.replace(SMOLLM2, layers=None)
    expected = estimate(unknown, context_size=4096, slots=4, batch_size=256, prompt_cache_bytes=0)
    assert expected.kv_cache_bytes == 0
    assert expected.loaded_bytes > SMOLLM2.size_bytes


def test_what_the_last_load_took_corrects_the_next_estimate() -> None:
    arguments = {"context_size": 4096, "slots": 4, "batch_size": 256, "prompt_cache_bytes": 0}
    first = estimate(SMOLLM2, **arguments)
    learned = estimate(SMOLLM2.with_memory_ratio(1.25), **arguments)
    assert learned.loaded_bytes == round(1.25 * first.loaded_bytes)
    assert learned.unscaled_bytes == first.unscaled_bytes


def test_the_prompt_cache_counts_as_growth_and_not_as_the_load() -> None:
    without = estimate(SMOLLM2, context_size=512, slots=1, batch_size=64, prompt_cache_bytes=0)
    cached = estimate(SMOLLM2, context_size=512, slots=1, batch_size=64, prompt_cache_bytes=50_000_000)
    assert cached.loaded_bytes == without.loaded_bytes
    assert cached.growth_bytes == without.growth_bytes + 50_000_000


T5_SMALL = dataclasses.replace(
    SMOLLM2,
    format="safetensors",
    quantization="F32",
    architecture="t5",
    parameter_count=60_506_624,
    files=(ManifestFile("model.safetensors", 242_041_896, "0" * 64),),
    layers=6,
    heads=8,
    kv_heads=8,
    embedding_length=512,
    capabilities=("chat",),
)


def _of_checkpoint(manifest: Manifest) -> Estimate:
    return estimate(manifest, context_size=512, slots=4, batch_size=256, prompt_cache_bytes=99)


@pytest.mark.parametrize(("dtype", "measured"), [("F32", 586_000_000), ("BF16", 571_000_000)])
def test_the_estimate_of_a_checkpoint_is_near_what_pytorch_took_for_it(dtype: str, measured: int) -> None:
    """Measured with T5 in the shape of t5-small, after a first short reply: both files are computed in float32."""
    expected = _of_checkpoint(dataclasses.replace(T5_SMALL, quantization=dtype))
    assert expected.loaded_bytes == pytest.approx(measured, rel=0.05)


def test_weights_that_pytorch_converts_are_not_mapped_from_the_file() -> None:
    assert _of_checkpoint(T5_SMALL).mapped_bytes == 4 * 60_506_624
    assert _of_checkpoint(dataclasses.replace(T5_SMALL, quantization="F16")).mapped_bytes == 0
