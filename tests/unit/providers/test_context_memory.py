"""What a GGUF model keeps of what it has read, by its header."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from llmspell_providers.library.context_memory import ContextMemory, TensorRow, context_memory
from llmspell_providers.library.gguf import memory_of, read_gguf
from llmspell_providers.library.manifest import (
    Manifest,
    ManifestFile,
    ManifestInvalid,
    manifest_content,
    manifest_from_content,
)
from tests.support.random_gguf import ARCHITECTURES, VOCABULARY, write_random_model

_LAYER = 2 * 4 * 128 * 2
"""Bytes of keys and values in float16 of four heads of 128, for one token in one layer."""
_NARROW = _LAYER // 2
_MAMBA = 4 * (3 * 512 + 16 * 512)
_MAMBA2 = 4 * (3 * (2048 + 2 * 256) + 256 * 2048)
EXPECTED: Mapping[str, tuple[int, int, int, int]] = {
    "full": (6 * _LAYER, 0, 0, 0),
    "full, arranged anew": (6 * _LAYER, 0, 0, 0),
    "mixture of experts": (6 * _LAYER, 0, 0, 0),
    "windowed 1:1": (3 * _LAYER, 3 * _LAYER, 512, 0),
    "windowed 5:1": (1 * _LAYER, 5 * _LAYER, 512, 0),
    "windowed 3:1": (1 * _NARROW, 5 * _NARROW, 1024, 0),
    "windowed as the file says": (2 * _LAYER, 4 * _LAYER, 512, 0),
    "windowed mixture": (3 * _LAYER, 3 * _LAYER, 128, 0),
    "recurrent": (0, 0, 0, 6 * _MAMBA),
    "recurrent, wide": (0, 0, 0, 6 * _MAMBA2),
    "hybrid": (2 * _NARROW, 0, 0, 4 * _MAMBA),
    "hybrid, short convolutions": (2 * _NARROW, 0, 0, 4 * 4 * 2 * 256),
}
"""Bytes a token in layers that keep all and in those with a window, its tokens, bytes a slot: llama.cpp's own log."""


@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_a_file_says_what_each_layer_keeps(kind: str, tmp_path: Path) -> None:
    memory = memory_of([read_gguf(write_random_model(tmp_path / "m.gguf", kind))])
    kept = (memory.kv_bytes_a_token, memory.window_bytes_a_token, memory.window_tokens, memory.state_bytes)
    assert kept == EXPECTED[kind]
    assert memory.vocabulary_entries == VOCABULARY
    assert bool(memory.repacked_bytes) == (kind == "full, arranged anew")


def _memory(
    architecture: str, values: Mapping[str, Any], layers: Mapping[int, Sequence[str]] | None = None
) -> ContextMemory:
    """Of a model of 64 dimensions in four heads; `layers` are the names of their tensors."""
    sizes = {"embedding_length": 64, "attention.head_count": 4, "attention.head_count_kv": 2}
    keys = {f"{architecture}.{key}": value for key, value in {**sizes, **values}.items()}
    rows = [
        TensorRow(f"blk.{layer}.{name}.weight", (64, 64), 1, 0, 8192)
        for layer, names in (layers or {}).items()
        for name in names
    ]
    return context_memory({"general.architecture": architecture, **keys}, [rows])


_ATTENTION = ("attn_q", "attn_k", "attn_v")
_ONE = 2 * 2 * 16 * 2
"""Bytes a token and layer with the sizes above."""


def _all(count: int, names: Sequence[str] = _ATTENTION) -> dict[int, Sequence[str]]:
    return dict.fromkeys(range(count), names)


@pytest.mark.parametrize(
    ("architecture", "values", "layers", "kept"),
    [
        # One answer for each layer, as newer files have it.
        ("gemma4", {"attention.sliding_window_pattern": [True, True, False]}, 3, (1, 2)),
        # A period in the file goes before the architecture's own; 0 is a window in every layer, 1 in none.
        ("gemma3", {"attention.sliding_window_pattern": 2}, 6, (3, 3)),
        ("gemma3", {"attention.sliding_window_pattern": 0}, 6, (0, 6)),
        ("gemma3", {"attention.sliding_window_pattern": 1}, 6, (6, 0)),
        ("smallthinker", {}, 8, (2, 6)),
        ("gemma3n", {}, 30, (4, 16)),
        # A window without a known pattern, and a pattern without a window, count as layers that keep all.
        ("novel", {}, 4, (4, 0)),
        ("gemma3", {"attention.sliding_window": 0}, 6, (6, 0)),
        # The last layers read what earlier ones keep.
        ("gemma4", {"attention.shared_kv_layers": 2, "attention.sliding_window_pattern": [True, False]}, 6, (2, 2)),
        # A layer that only guesses further tokens is not loaded.
        ("glm4moe", {"nextn_predict_layers": 1, "attention.sliding_window": 0}, 5, (4, 0)),
    ],
)
def test_layers_with_a_window_are_told_from_those_that_keep_all(
    architecture: str, values: Mapping[str, Any], layers: int, kept: tuple[int, int]
) -> None:
    memory = _memory(architecture, {"block_count": layers, "attention.sliding_window": 32, **values}, _all(layers))
    assert (memory.kv_bytes_a_token, memory.window_bytes_a_token) == (kept[0] * _ONE, kept[1] * _ONE)


def test_windowed_layers_may_have_heads_of_another_size() -> None:
    lengths = {"key_length": 32, "value_length": 32, "key_length_swa": 8, "value_length_swa": 8}
    values = {"block_count": 2, "attention.sliding_window": 32, "attention.sliding_window_pattern": [True, False]}
    memory = _memory("gemma4", {**values, **{f"attention.{key}": size for key, size in lengths.items()}}, _all(2))
    assert (memory.kv_bytes_a_token, memory.window_bytes_a_token) == (2 * 2 * 64, 2 * 2 * 16)


def test_heads_may_differ_from_layer_to_layer() -> None:
    memory = _memory("openelm", {"block_count": 3, "attention.head_count_kv": [1, 2, 4]}, _all(3))
    assert memory.kv_bytes_a_token == 7 * 2 * 16 * 2


def test_latent_attention_keeps_one_vector() -> None:
    values = {"head_count_kv": 1, "key_length": 576, "value_length": 512, "key_length_mla": 192, "kv_lora_rank": 512}
    keys = {f"attention.{key}": value for key, value in values.items()}
    memory = _memory("deepseek2", {"block_count": 3, **keys}, _all(3, ("attn_q", "attn_kv_a_mqa")))
    assert memory.kv_bytes_a_token == 3 * 576 * 2


def test_linear_attention_beside_full_one_keeps_a_state() -> None:
    sizes = {"conv_kernel": 4, "inner_size": 64, "state_size": 8, "group_count": 2}
    layers = {0: ("attn_qkv", "ssm_conv1d"), 1: _ATTENTION, 2: ("attn_qkv", "ssm_conv1d")}
    memory = _memory("qwen3next", {"block_count": 3, **{f"ssm.{key}": size for key, size in sizes.items()}}, layers)
    assert (memory.kv_bytes_a_token, memory.state_layers) == (_ONE, 2)
    assert memory.state_bytes == 2 * 4 * (3 * (64 + 2 * 2 * 8) + 64 * 8)


def test_a_layer_may_have_both() -> None:
    sizes = {"ssm.conv_kernel": 4, "ssm.inner_size": 64, "ssm.state_size": 8}
    memory = _memory("falcon-h1", {"block_count": 2, **sizes}, _all(2, (*_ATTENTION, "ssm_in")))
    assert (memory.kv_bytes_a_token, memory.state_layers) == (2 * _ONE, 2)


def test_a_layer_may_have_neither() -> None:
    layers = {0: _ATTENTION, 1: ("ffn_up",)}
    assert _memory("nemotron_h", {"block_count": 2}, layers).kv_bytes_a_token == _ONE


def test_rwkv_keeps_states_alone() -> None:
    values = {"block_count": 2, "wkv.head_size": 32, "token_shift_count": 2}
    memory = _memory("rwkv7", values, _all(2, ("time_mix_key",)))
    assert (memory.kv_bytes_a_token, memory.state_bytes) == (0, 2 * 4 * 64 * (2 + 32))


@pytest.mark.parametrize("architecture", ["bert", "nomic-bert", "modern-bert", "gemma-embedding", "t5encoder", "dream"])
def test_what_reads_a_text_as_a_whole_keeps_nothing(architecture: str) -> None:
    memory = _memory(architecture, {"block_count": 4, "attention.sliding_window": 8}, _all(4))
    assert (memory.kv_bytes_a_token, memory.window_bytes_a_token) == (0, 0)


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"block_count": "many"},
        {"block_count": 4, "attention.head_count": []},
        {"block_count": 2, "attention.head_count_kv": [], "attention.sliding_window": True},
        {"block_count": 2, "attention.sliding_window": 8, "attention.sliding_window_pattern": []},
        {"block_count": 2, "attention.sliding_window_pattern": "all"},
    ],
)
def test_odd_keys_give_a_number_and_no_error(values: Mapping[str, Any]) -> None:
    memory = _memory("novel", values, _all(2))
    assert memory.kv_bytes_a_token >= 0
    assert memory.window_bytes_a_token >= 0


def _row(name: str, offset: int, size: int, kind: int = 2, rows: int = 64) -> TensorRow:
    return TensorRow(name, (32, rows), kind, offset, size)


def test_copied_weights_count_beyond_what_stays_mapped() -> None:
    first, norm = _row("blk.0.ffn_up.weight", 0, 100), _row("output_norm.weight", 100, 10, kind=0)
    middle, last = _row("blk.0.ffn_gate.weight", 110, 200), _row("blk.1.ffn_up.weight", 400, 50)
    words = _row("token_embd.weight", 310, 90)
    rows = [first, norm, middle, words, last]
    # The beginning and the end of the file are let go of; the words are kept, and copied where they are the output too.
    assert context_memory({}, [rows]).repacked_bytes == 200 + 90
    assert context_memory({}, [[*rows, _row("output.weight", 450, 90)]]).repacked_bytes == 200
    assert context_memory({}, [[_row("blk.0.ffn_up.weight", 0, 100, rows=63), norm]]).repacked_bytes == 0


def test_a_manifest_keeps_it_and_a_damaged_one_says_so() -> None:
    memory = ContextMemory(kv_bytes_a_token=1, window_bytes_a_token=2, window_tokens=3, state_bytes=4, state_layers=5)
    file = ManifestFile("m.gguf", 1, "0" * 64)
    manifest = Manifest(
        name="m", format="gguf", files=(file,), source="file:///m", modified_at="2026-01-01T00:00:00Z", memory=memory
    )
    content = manifest_content(manifest)
    assert manifest_from_content(content) == manifest
    assert manifest_from_content({**content, "memory": None}).memory is None
    for damaged in ("text", {**content["memory"], "state_bytes": -1}, [1], {"window_tokens": 1 << 70}):
        with pytest.raises(ManifestInvalid, match="memory can't be"):
            manifest_from_content({**content, "memory": damaged})
    for damaged in ("text", [1], {"4x4096": "1"}, {"4x4096": -1}):
        with pytest.raises(ManifestInvalid, match="memory_ratios can't be"):
            manifest_from_content({**content, "memory_ratios": damaged})
