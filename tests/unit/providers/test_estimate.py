"""How much memory a model will take."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

import pytest

from llmspell_providers.library.context_memory import ContextMemory
from llmspell_providers.library.manifest import Manifest, ManifestFile
from llmspell_providers.residency.estimate import (
    CONTEXT_CHECKPOINTS,
    Estimate,
    Setting,
    estimate,
    fitted,
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
    chat_template=True,
    modified_at="2025-01-01T00:00:00Z",
)

MEASURED = {(1, 512): 176_222_208, (1, 4096): 258_871_296, (4, 4096): 541_642_752, (4, 8192): 919_175_168}
"""Resident bytes of real workers right after the load, by slots and context, with xllamacpp."""

GEMMA3_270M = Manifest(
    name="gemma3",
    variant="270m",
    format="gguf",
    files=(ManifestFile("model.gguf", 253_113_024, "0" * 64),),
    source="file:///model.gguf",
    architecture="gemma3",
    embedding_length=640,
    vocab_size=262_144,
    chat_template=False,
    capabilities=("chat",),
    memory=ContextMemory(
        kv_bytes_a_token=3 * 512 * 2,
        window_bytes_a_token=15 * 512 * 2,
        window_tokens=512,
        repacked_bytes=13_271_040,
        vocabulary_entries=262_144,
    ),
    modified_at="2026-01-01T00:00:00Z",
)
"""As the file says."""

MEASURED_GEMMA3 = {(1, 512): 373_200_000, (3, 2048): 419_700_000, (4, 4096): 462_900_000}


def _setting(slots: int = 4, context: int = 4096, **changes: Any) -> Setting:
    values: dict[str, Any] = {"engine": "xllamacpp", "device": "auto", "batch_size": 256, **changes}
    return Setting(slots=slots, context_size=context, **values)


@pytest.mark.parametrize(("slots", "context"), MEASURED)
def test_the_estimate_is_within_five_percent_of_what_workers_took(slots: int, context: int) -> None:
    expected = estimate(SMOLLM2, _setting(slots, context))
    assert expected.loaded_bytes == pytest.approx(MEASURED[slots, context], rel=0.05)


@pytest.mark.parametrize(("slots", "context"), MEASURED_GEMMA3)
def test_a_window_is_estimated_as_what_it_holds(slots: int, context: int) -> None:
    expected = estimate(GEMMA3_270M, _setting(slots, context))
    assert expected.loaded_bytes == pytest.approx(MEASURED_GEMMA3[slots, context], rel=0.05)


def test_an_engine_that_keeps_every_token_of_a_window_is_estimated_so() -> None:
    expected = estimate(GEMMA3_270M, _setting(1, full_windows=True))
    assert expected.kv_cache_bytes == 4096 * 18 * 512 * 2
    assert expected.checkpoints == 0


def test_a_token_costs_keys_and_values_in_every_layer() -> None:
    assert kv_elements_a_token(SMOLLM2) == 30 * 3 * (64 + 64)
    assert estimate(SMOLLM2, _setting(2, 512)).kv_cache_bytes == 30 * 3 * (64 + 64) * 2 * 512 * 2


def test_a_context_takes_whole_steps_of_cells() -> None:
    one, more = (estimate(SMOLLM2, _setting(1, context)).kv_cache_bytes for context in (256, 257))
    assert more == 2 * one
    assert estimate(SMOLLM2, _setting(1, 64)).kv_cache_bytes == one


def test_dimensions_that_the_file_leaves_out_follow_from_the_width() -> None:
    sparse = dataclasses.replace(SMOLLM2, key_length=None, value_length=None)
    assert kv_elements_a_token(sparse) == kv_elements_a_token(SMOLLM2)
    without_grouping = dataclasses.replace(SMOLLM2, kv_heads=None)
    assert kv_elements_a_token(without_grouping) == 3 * kv_elements_a_token(SMOLLM2)


def test_a_model_of_unknown_shape_is_estimated_by_its_weights() -> None:
    expected = estimate(dataclasses.replace(SMOLLM2, layers=None), _setting())
    assert expected.kv_cache_bytes == 0
    assert expected.loaded_bytes > SMOLLM2.size_bytes


def test_what_the_last_load_took_corrects_the_next_estimate_in_the_same_setting_alone() -> None:
    first, other = _setting(), _setting(1, 1024)
    learned = SMOLLM2.with_memory_ratio(first.name, 1.25)
    assert estimate(learned, first).loaded_bytes == round(1.25 * estimate(SMOLLM2, first).loaded_bytes)
    assert estimate(learned, other) == estimate(SMOLLM2, other)
    assert estimate(learned, first).unscaled_bytes == estimate(SMOLLM2, first).unscaled_bytes


@pytest.mark.parametrize(
    "change", [{"slots": 2}, {"context": 2048}, {"batch_size": 64}, {"engine": "llama-server"}, {"device": "cpu"}]
)
def test_every_part_of_a_setting_is_remembered_for_itself(change: dict[str, Any]) -> None:
    assert _setting(**change).name != _setting().name


def test_ratios_of_old_settings_are_forgotten() -> None:
    manifest = SMOLLM2
    for slots in range(1, 30):
        manifest = manifest.with_memory_ratio(_setting(slots).name, 1.0)
    assert len(manifest.memory_ratios) < 10
    assert _setting(29).name in manifest.memory_ratios


def test_the_prompt_cache_counts_as_growth_and_not_as_the_load() -> None:
    without = estimate(SMOLLM2, _setting(1, 512))
    cached = fitted(without, budget_bytes=10**9, prompt_cache=50_000_000)
    assert cached.loaded_bytes == without.loaded_bytes
    # While one conversation more is taken in than fits.
    assert cached.growth_bytes == without.growth_bytes + 50_000_000 + without.kv_cache_bytes
    # A single conversation is kept, whatever its size.
    tiny = fitted(without, budget_bytes=10**9, prompt_cache=1)
    assert tiny.growth_bytes == without.growth_bytes + 2 * without.kv_cache_bytes


def test_a_model_with_a_window_grows_by_its_checkpoints() -> None:
    expected = estimate(GEMMA3_270M, _setting(4))
    assert expected.checkpoint_bytes == 512 * 15 * 512 * 2
    assert expected.growth_bytes - expected.compute_bytes == 4 * CONTEXT_CHECKPOINTS * expected.checkpoint_bytes
    assert estimate(SMOLLM2, _setting()).checkpoint_bytes == 0


@pytest.mark.parametrize("budget", [440_000_000, 480_000_000, 520_000_000, 600_000_000, 700_000_000, 2_000_000_000])
@pytest.mark.parametrize("cache", ["auto", 0])
def test_what_only_makes_later_turns_faster_takes_what_the_budget_leaves(
    budget: int, cache: Literal["auto"] | int
) -> None:
    full = estimate(GEMMA3_270M, _setting(4))
    expected = fitted(full, budget_bytes=budget, prompt_cache=cache)
    needed = full.loaded_bytes + full.compute_bytes
    assert expected.loaded_bytes + expected.growth_bytes <= max(budget, needed)
    assert expected.checkpoints == min(CONTEXT_CHECKPOINTS, max(0, budget - needed) // (4 * full.checkpoint_bytes))


def test_embeddings_of_a_model_that_chats_need_memory_for_words_that_nobody_says() -> None:
    chats, embeds = (estimate(GEMMA3_270M, _setting(embeds=embeds)) for embeds in (False, True))
    assert chats.request_bytes == 0
    # Measured: 415 MB for a text of 200 tokens.
    assert embeds.request_bytes * 200 / 256 == pytest.approx(415_000_000, rel=0.05)
    assert embeds.growth_bytes == chats.growth_bytes
    encoder = dataclasses.replace(GEMMA3_270M, capabilities=("embed",))
    assert estimate(encoder, _setting(embeds=True)).request_bytes == 0


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
    return estimate(manifest, _setting(4, 512, engine="torch"))


@pytest.mark.parametrize(("dtype", "measured"), [("F32", 586_000_000), ("BF16", 571_000_000)])
def test_the_estimate_of_a_checkpoint_is_near_what_pytorch_took_for_it(dtype: str, measured: int) -> None:
    """Measured with T5 in the shape of t5-small, after a first short reply: both files are computed in float32."""
    expected = _of_checkpoint(dataclasses.replace(T5_SMALL, quantization=dtype))
    assert expected.loaded_bytes == pytest.approx(measured, rel=0.05)


def test_weights_that_pytorch_converts_are_not_mapped_from_the_file() -> None:
    assert _of_checkpoint(T5_SMALL).mapped_bytes == 4 * 60_506_624
    assert _of_checkpoint(dataclasses.replace(T5_SMALL, quantization="F16")).mapped_bytes == 0
