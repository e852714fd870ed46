"""GGUF models of many architectures whose weights mean nothing: small files whose contexts take real memory.

Each writes what llama.cpp wants to find for one architecture (llama.cpp, src/models/<architecture>.cpp) with layers few
and narrow, and keys, values and states wide enough to be measured.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy
from gguf import GGMLQuantizationType, GGUFWriter
from gguf.quants import quantize

Shape = Sequence[int]
"""A tensor's dimensions as ggml counts them: the length of a row first."""
Write = Callable[["RandomModel"], None]

WIDTH = 256
LAYERS = 6
HEADS = 4
KV_HEADS = 4
HEAD = 128
FEED_FORWARD = 512
VOCABULARY = 512
EXPERTS = 4
TRAINED_CONTEXT = 32_768
_WIDE_FEED_FORWARD = 16_384
_WIDE_FEED_FORWARD = 16_384
STATE, INNER, CONVOLUTION, STEP_RANK, GROUPS = 16, 2 * WIDTH, 4, 16, 1
SCALE = 0.02


class RandomModel:
    """One file being written."""

    def __init__(self, path: Path, architecture: str, *, layers: int = LAYERS, vocabulary: int = VOCABULARY) -> None:
        self.writer = GGUFWriter(path, architecture)
        self.quantization: GGMLQuantizationType | None = None
        """What weights are written in from now on; None: float16."""
        self.layers = layers
        self.architecture = architecture
        self._random = numpy.random.default_rng(7)
        self.writer.add_file_type(1)
        self.writer.add_context_length(TRAINED_CONTEXT)
        self.writer.add_embedding_length(WIDTH)
        self.writer.add_block_count(layers)
        self.writer.add_layer_norm_rms_eps(1e-5)
        self._add_tokenizer(vocabulary)
        self.weight("token_embd.weight", WIDTH, vocabulary)
        # One architecture calls the last norm by another name.
        self.norm("token_embd_norm.weight" if architecture == "lfm2" else "output_norm.weight", WIDTH)

    def weight(self, name: str, *shape: int) -> None:
        """A matrix, or several."""
        data = self._random.standard_normal(tuple(reversed(shape)), dtype=numpy.float32) * SCALE
        kind = self.quantization
        if kind is None:
            self.writer.add_tensor(name, data.astype(numpy.float16))
        else:
            self.writer.add_tensor(name, quantize(data, kind), raw_dtype=kind)

    def norm(self, name: str, *shape: int) -> None:
        """What stays in float32."""
        self.writer.add_tensor(name, numpy.ones(tuple(reversed(shape)), dtype=numpy.float32))

    def number(self, key: str, value: int | Sequence[int] | Sequence[bool]) -> None:
        """A count under the architecture's own prefix."""
        name = f"{self.architecture}.{key}"
        if isinstance(value, int):
            self.writer.add_uint32(name, value)
        else:
            self.writer.add_array(name, list(value))

    def heads(self, kv_heads: int | Sequence[int] = KV_HEADS, *, dimensions: int = HEAD) -> None:
        """The keys about attention."""
        self.number("attention.head_count", HEADS)
        self.number("attention.head_count_kv", kv_heads)
        self.number("attention.key_length", dimensions)
        self.number("attention.value_length", dimensions)

    def attention(self, layer: int, *, dimensions: int = HEAD) -> None:
        """Query, keys, values and output of one layer."""
        block = f"blk.{layer}"
        self.norm(f"{block}.attn_norm.weight", WIDTH)
        self.weight(f"{block}.attn_q.weight", WIDTH, HEADS * dimensions)
        self.weight(f"{block}.attn_k.weight", WIDTH, KV_HEADS * dimensions)
        self.weight(f"{block}.attn_v.weight", WIDTH, KV_HEADS * dimensions)
        self.weight(f"{block}.attn_output.weight", HEADS * dimensions, WIDTH)

    def feed_forward(self, layer: int, *, inner: int = FEED_FORWARD) -> None:
        """A dense feed-forward network."""
        self.norm(f"blk.{layer}.ffn_norm.weight", WIDTH)
        for name in ("gate", "up"):
            self.weight(f"blk.{layer}.ffn_{name}.weight", WIDTH, inner)
        self.weight(f"blk.{layer}.ffn_down.weight", inner, WIDTH)

    def experts(self, layer: int) -> None:
        """A mixture of experts in its place."""
        self.norm(f"blk.{layer}.ffn_norm.weight", WIDTH)
        self.weight(f"blk.{layer}.ffn_gate_inp.weight", WIDTH, EXPERTS)
        for name in ("gate", "up"):
            self.weight(f"blk.{layer}.ffn_{name}_exps.weight", WIDTH, FEED_FORWARD, EXPERTS)
        self.weight(f"blk.{layer}.ffn_down_exps.weight", FEED_FORWARD, WIDTH, EXPERTS)

    def state_space(self, *, inner: int = INNER, state: int = STATE, groups: int = 0) -> None:
        """The keys about Mamba layers."""
        self.number("ssm.conv_kernel", CONVOLUTION)
        self.number("ssm.inner_size", inner)
        self.number("ssm.state_size", state)
        self.number("ssm.time_step_rank", STEP_RANK)
        if groups:
            self.number("ssm.group_count", groups)

    def mamba(self, layer: int, *, norms: bool = False) -> None:
        """One Mamba layer."""
        block = f"blk.{layer}"
        self.norm(f"{block}.attn_norm.weight", WIDTH)
        self.weight(f"{block}.ssm_in.weight", WIDTH, 2 * INNER)
        self.norm(f"{block}.ssm_conv1d.weight", CONVOLUTION, INNER)
        self.norm(f"{block}.ssm_conv1d.bias", INNER)
        self.weight(f"{block}.ssm_x.weight", INNER, STEP_RANK + 2 * STATE)
        self.weight(f"{block}.ssm_dt.weight", STEP_RANK, INNER)
        self.norm(f"{block}.ssm_dt.bias", INNER)
        if norms:
            self.norm(f"{block}.ssm_dt_norm.weight", STEP_RANK)
            self.norm(f"{block}.ssm_b_norm.weight", STATE)
            self.norm(f"{block}.ssm_c_norm.weight", STATE)
        self.norm(f"{block}.ssm_a", STATE, INNER)
        self.norm(f"{block}.ssm_d", INNER)
        self.weight(f"{block}.ssm_out.weight", INNER, WIDTH)

    def mamba2(self, layer: int, *, inner: int, state: int) -> None:
        """One layer of Mamba 2; `inner` values in STEP_RANK heads."""
        block = f"blk.{layer}"
        mixed = inner + 2 * GROUPS * state
        self.norm(f"{block}.attn_norm.weight", WIDTH)
        self.weight(f"{block}.ssm_in.weight", WIDTH, inner + mixed + STEP_RANK)
        self.norm(f"{block}.ssm_conv1d.weight", CONVOLUTION, mixed)
        self.norm(f"{block}.ssm_conv1d.bias", mixed)
        self.norm(f"{block}.ssm_dt.bias", STEP_RANK)
        self.norm(f"{block}.ssm_a", 1, STEP_RANK)
        self.norm(f"{block}.ssm_d", 1, STEP_RANK)
        self.norm(f"{block}.ssm_norm.weight", inner // GROUPS, GROUPS)
        self.weight(f"{block}.ssm_out.weight", inner, WIDTH)

    def close(self) -> None:
        """Writes the file."""
        self.writer.write_header_to_file()
        self.writer.write_kv_data_to_file()
        self.writer.write_tensors_to_file()
        self.writer.close()

    def _add_tokenizer(self, count: int) -> None:
        """A SentencePiece vocabulary: three marks, all bytes, and words that nobody writes."""
        marks = [b"<unk>", b"<s>", b"</s>"]
        pieces = [f"<0x{byte:02X}>".encode() for byte in range(256)]
        words = [f"w{index}".encode() for index in range(count - len(marks) - len(pieces))]
        self.writer.add_tokenizer_model("llama")
        self.writer.add_token_list([*marks, *pieces, *words])
        self.writer.add_token_scores([0.0] * count)
        self.writer.add_token_types([2, 3, 3, *[6] * len(pieces), *[1] * len(words)])
        self.writer.add_bos_token_id(1)
        self.writer.add_eos_token_id(2)
        self.writer.add_unk_token_id(0)


def _llama(model: RandomModel) -> None:
    model.heads()
    model.writer.add_rope_dimension_count(HEAD)
    for layer in range(model.layers):
        model.attention(layer)
        model.feed_forward(layer)


def _repacked(model: RandomModel) -> None:
    """Weights of a kind that llama.cpp arranges anew, in memory of its own, beside the file's."""
    model.number("feed_forward_length", _WIDE_FEED_FORWARD)
    model.heads()
    model.writer.add_rope_dimension_count(HEAD)
    model.quantization = GGMLQuantizationType.Q4_0
    for layer in range(model.layers):
        model.attention(layer)
        model.feed_forward(layer, inner=_WIDE_FEED_FORWARD)


def _mixture(model: RandomModel) -> None:
    model.heads()
    model.writer.add_rope_dimension_count(HEAD)
    model.writer.add_expert_count(EXPERTS)
    model.writer.add_expert_used_count(2)
    for layer in range(model.layers):
        model.attention(layer)
        model.experts(layer)


def _gemma2(model: RandomModel) -> None:
    model.heads()
    model.number("attention.sliding_window", 512)
    for layer in range(model.layers):
        model.attention(layer)
        model.feed_forward(layer)
        model.norm(f"blk.{layer}.post_attention_norm.weight", WIDTH)
        model.norm(f"blk.{layer}.post_ffw_norm.weight", WIDTH)


def _gemma3(model: RandomModel) -> None:
    _gemma2(model)
    for layer in range(model.layers):
        model.norm(f"blk.{layer}.attn_q_norm.weight", HEAD)
        model.norm(f"blk.{layer}.attn_k_norm.weight", HEAD)


def _cohere2(model: RandomModel) -> None:
    dimensions = WIDTH // HEADS
    model.heads(dimensions=dimensions)
    model.writer.add_rope_dimension_count(dimensions)
    model.writer.add_logit_scale(1.0)
    model.writer.add_layer_norm_eps(1e-5)
    model.writer.add_vocab_size(VOCABULARY)
    model.number("attention.sliding_window", 1024)
    for layer in range(model.layers):
        model.attention(layer, dimensions=dimensions)
        for name in ("gate", "up"):
            model.weight(f"blk.{layer}.ffn_{name}.weight", WIDTH, FEED_FORWARD)
        model.weight(f"blk.{layer}.ffn_down.weight", FEED_FORWARD, WIDTH)


def _gemma3_of_another_period(model: RandomModel) -> None:
    """The file names the period itself, and it is not the architecture's own."""
    model.number("attention.sliding_window_pattern", 3)
    _gemma3(model)


def _gpt_oss(model: RandomModel) -> None:
    model.heads()
    model.writer.add_rope_dimension_count(HEAD)
    model.writer.add_expert_count(EXPERTS)
    model.writer.add_expert_used_count(2)
    model.writer.add_expert_feed_forward_length(FEED_FORWARD)
    model.number("attention.sliding_window", 128)
    model.weight("output.weight", WIDTH, VOCABULARY)
    for layer in range(model.layers):
        block = f"blk.{layer}"
        model.attention(layer)
        for name, size in (("q", HEADS * HEAD), ("k", KV_HEADS * HEAD), ("v", KV_HEADS * HEAD), ("output", WIDTH)):
            model.norm(f"{block}.attn_{name}.bias", size)
        model.norm(f"{block}.post_attention_norm.weight", WIDTH)
        model.norm(f"{block}.attn_sinks.weight", HEADS)
        model.weight(f"{block}.ffn_gate_inp.weight", WIDTH, EXPERTS)
        model.norm(f"{block}.ffn_gate_inp.bias", EXPERTS)
        for name, rows, columns in (
            ("gate", WIDTH, FEED_FORWARD),
            ("up", WIDTH, FEED_FORWARD),
            ("down", FEED_FORWARD, WIDTH),
        ):
            model.weight(f"{block}.ffn_{name}_exps.weight", rows, columns, EXPERTS)
            model.norm(f"{block}.ffn_{name}_exps.bias", columns, EXPERTS)


def _mamba(model: RandomModel) -> None:
    model.state_space()
    for layer in range(model.layers):
        model.mamba(layer)


_WIDE_INNER, _WIDE_STATE = 2048, 256


def _mamba2(model: RandomModel) -> None:
    model.state_space(inner=_WIDE_INNER, state=_WIDE_STATE, groups=GROUPS)
    for layer in range(model.layers):
        model.mamba2(layer, inner=_WIDE_INNER, state=_WIDE_STATE)


def _jamba(model: RandomModel) -> None:
    """Attention in every third layer, Mamba in the others."""
    dimensions = WIDTH // HEADS
    kv_heads = [KV_HEADS if layer % 3 == 2 else 0 for layer in range(model.layers)]
    model.heads(kv_heads, dimensions=dimensions)
    model.state_space()
    for layer, count in enumerate(kv_heads):
        if count:
            model.attention(layer, dimensions=dimensions)
        else:
            model.mamba(layer, norms=True)
        model.feed_forward(layer)


def _lfm2(model: RandomModel) -> None:
    """Short convolutions, and attention in every third layer."""
    dimensions = WIDTH // HEADS
    kv_heads = [KV_HEADS if layer % 3 == 2 else 0 for layer in range(model.layers)]
    model.heads(kv_heads, dimensions=dimensions)
    model.writer.add_rope_dimension_count(dimensions)
    model.number("shortconv.l_cache", 3)
    model.number("vocab_size", VOCABULARY)
    for layer, count in enumerate(kv_heads):
        block = f"blk.{layer}"
        if count:
            model.attention(layer, dimensions=dimensions)
            model.norm(f"{block}.attn_q_norm.weight", dimensions)
            model.norm(f"{block}.attn_k_norm.weight", dimensions)
        else:
            model.norm(f"{block}.attn_norm.weight", WIDTH)
            model.norm(f"{block}.shortconv.conv.weight", 3, WIDTH)
            model.weight(f"{block}.shortconv.in_proj.weight", WIDTH, 3 * WIDTH)
            model.weight(f"{block}.shortconv.out_proj.weight", WIDTH, WIDTH)
        model.feed_forward(layer)


ARCHITECTURES: Mapping[str, tuple[str, Write]] = {
    "full": ("llama", _llama),
    "full, arranged anew": ("llama", _repacked),
    "mixture of experts": ("llama", _mixture),
    "windowed 1:1": ("gemma2", _gemma2),
    "windowed 5:1": ("gemma3", _gemma3),
    "windowed 3:1": ("cohere2", _cohere2),
    "windowed as the file says": ("gemma3", _gemma3_of_another_period),
    "windowed mixture": ("gpt-oss", _gpt_oss),
    "recurrent": ("mamba", _mamba),
    "recurrent, wide": ("mamba2", _mamba2),
    "hybrid": ("jamba", _jamba),
    "hybrid, short convolutions": ("lfm2", _lfm2),
}
"""What a model keeps of what it has read → the architecture that stands for it."""


def write_random_model(path: Path, kind: str, *, vocabulary: int = VOCABULARY) -> Path:
    """Writes one of `ARCHITECTURES`."""
    architecture, write = ARCHITECTURES[kind]
    model = RandomModel(path, architecture, vocabulary=vocabulary)
    write(model)
    if write is not _repacked:
        model.number("feed_forward_length", FEED_FORWARD)
    model.close()
    return path
