"""What a GGUF model keeps of what it has read, and what of its weights an engine keeps twice: from its header alone.

Every architecture of llama.cpp fits one description: layers that keep keys and values of all tokens, of a window, or a
state of one size; which layer is which says the file where it can, else the table below (llama.cpp, src/models/*.cpp,
load_arch_hparams). Where neither does, a layer counts as one that keeps all: more than it takes, never less.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llmspell_protocol.structs import Struct

KV_BYTES_AN_ELEMENT = 2
"""Keys and values are kept as float16,"""
STATE_BYTES_AN_ELEMENT = 4
"""states as float32."""

# Architecture → the period of its pattern, where the file names none: one layer in so many keeps all, the last one.
_PERIODS = {
    "afmoe": 4, "cohere2": 4, "cohere2moe": 4, "exaone4": 4, "exaone-moe": 4, "gemma2": 2, "gemma3": 6, "gemma3n": 5,
    "gpt-oss": 2, "llama4": 4, "olmo2": 4, "plamo3": 8, "smallthinker": 4,
}  # fmt: skip
_FULL_FIRST = frozenset({"smallthinker"})
"""Here the first of them keeps all."""
_WINDOWS = {"gemma2": 4096, "llama4": 8192}
"""Windows that stand in no file; llama4's are chunks."""
_SHARED_AFTER = {"gemma3n": 20}
"""From this layer on the keys and values of earlier ones are used, where no key says how many do."""
_REMEMBER_NOTHING = re.compile(r"bert|encoder$|^gemma-embedding$|^(dream|llada|llada-moe|rnd1)$")
"""They read a text as a whole: there is no next token that would need the ones before."""

_BLOCK = re.compile(r"blk\.(\d+)\.(\w+)")
_STATES = re.compile(r"ssm_|shortconv|time_mix_")
_KEYS = re.compile(r"attn_(k|kv_a_mqa|kv_a|kv_b|k_b)$")
_FUSED = "attn_qkv"

# ggml types that llama.cpp arranges anew for the processor, in memory of its own (ggml-cpu/repack.cpp): Q4_0, Q4_K,
# IQ4_NL, MXFP4.
_REPACKED = frozenset({2, 12, 20, 39})
_REPACKED_ROWS = 8
_EMBEDDING, _OUTPUT = "token_embd.weight", "output.weight"


@dataclass(frozen=True, slots=True)
class TensorRow:
    """One line of the tensor table: `dimensions` count elements, a row's length first; `kind` is ggml's type.

    `offset` is where its data begin, in bytes from the first tensor's.
    """

    name: str
    dimensions: tuple[int, ...]
    kind: int
    offset: int
    size_bytes: int

    @property
    def end(self) -> int:
        """Where its data end."""
        return self.offset + self.size_bytes


class ContextMemory(Struct):
    """Bytes by what they depend on.

    `kv_bytes_a_token` for each token of the context, `window_bytes_a_token` for each that the window holds,
    `state_bytes` for each slot, in `state_layers` layers. `repacked_bytes` of the weights are held a second time.
    `vocabulary_entries` are tokens and merges.
    """

    kv_bytes_a_token: int = 0
    window_bytes_a_token: int = 0
    window_tokens: int = 0
    state_bytes: int = 0
    state_layers: int = 0
    repacked_bytes: int = 0
    vocabulary_entries: int = 0


def context_memory(values: Mapping[str, Any], files: Sequence[Sequence[TensorRow]]) -> ContextMemory:
    """What a model's keys say, and its tensors, file by file."""
    tensors = [tensor for file in files for tensor in file]
    found = _Layers(values, tensors)
    kv, window = found.kv_elements()
    states = found.state_layers()
    merges = values.get("tokenizer.ggml.merges", ())
    return ContextMemory(
        kv_bytes_a_token=KV_BYTES_AN_ELEMENT * kv,
        window_bytes_a_token=KV_BYTES_AN_ELEMENT * window,
        window_tokens=found.window if window else 0,
        state_bytes=STATE_BYTES_AN_ELEMENT * found.state_elements() * states,
        state_layers=states,
        repacked_bytes=_repacked_bytes(files),
        vocabulary_entries=len(values.get("tokenizer.ggml.tokens", ())) + len(merges),
    )


def _repacked_bytes(files: Sequence[Sequence[TensorRow]]) -> int:
    has_output = any(tensor.name == _OUTPUT for file in files for tensor in file)
    return sum(_repacked_of_file(file, has_output=has_output) for file in files)


def _repacked_of_file(tensors: Sequence[TensorRow], *, has_output: bool) -> int:
    """What is copied, less a beginning and an end of the file with nothing but that: these do not stay mapped."""
    copied = [tensor for tensor in tensors if _is_repacked(tensor, has_output=has_output)]
    if not copied:
        return 0
    size = sum(tensor.size_bytes for tensor in copied)
    # The table of words is read where it is, copied or not.
    names = {tensor.name for tensor in copied}
    stays = [tensor for tensor in tensors if tensor.name not in names or tensor.name == _EMBEDDING]
    begin, end = min(tensor.offset for tensor in tensors), max(tensor.end for tensor in tensors)
    first, last = min((one.offset for one in stays), default=end), max((one.end for one in stays), default=end)
    return size - (first - begin) - (end - last)


def _is_repacked(tensor: TensorRow, *, has_output: bool) -> bool:
    if tensor.kind not in _REPACKED or len(tensor.dimensions) < 2 or tensor.dimensions[1] % _REPACKED_ROWS:
        return False
    # Words are looked up row by row; what computes with them is another tensor, or a copy of this one.
    return tensor.name != _EMBEDDING or not has_output


class _Layers:
    """The layers of one model."""

    def __init__(self, values: Mapping[str, Any], tensors: Sequence[TensorRow]) -> None:
        self._values = values
        self._architecture = str(values.get("general.architecture", ""))
        parts: dict[int, set[str]] = {}
        for tensor in tensors:
            block = _BLOCK.match(tensor.name)
            if block is not None:
                parts.setdefault(int(block[1]), set()).add(block[2])
        self._parts = parts
        # Layers that only guess further tokens are not loaded.
        self._count = max(0, self._number("block_count") - self._number("nextn_predict_layers"))
        self.window = self._number("attention.sliding_window") or _WINDOWS.get(self._architecture, 0)

    def kv_elements(self) -> tuple[int, int]:
        """Elements of keys and values a token: in layers that keep all, and in those with a window."""
        if _REMEMBER_NOTHING.search(self._architecture):
            return 0, 0
        full = windowed = 0
        for layer in range(self._kept_layers()):
            if not self._has_keys(layer):
                continue
            is_windowed = self._is_windowed(layer)
            elements = self._kv_heads(layer) * self._head_elements(is_windowed=is_windowed)
            if is_windowed:
                windowed += elements
            else:
                full += elements
        return full, windowed

    def state_layers(self) -> int:
        """How many layers keep a state of one size."""
        return sum(self._has_state(layer) for layer in range(self._count))

    def state_elements(self) -> int:
        """Elements of one layer's state (llama.cpp, llama_hparams::n_embd_r and n_embd_s)."""
        width = self._number("embedding_length")
        head = self._number("wkv.head_size")
        if head:
            return width * ((self._number("token_shift_count") or 2) + head)
        convolution = self._number("shortconv.l_cache")
        if convolution:
            return width * (convolution - 1)
        inner, state = self._number("ssm.inner_size"), self._number("ssm.state_size")
        mixed = inner + 2 * self._number("ssm.group_count") * state
        return max(0, self._number("ssm.conv_kernel") - 1) * mixed + inner * state

    def _kept_layers(self) -> int:
        """Layers before those that use the keys and values of others."""
        shared = self._number("attention.shared_kv_layers")
        if shared:
            return max(0, self._count - shared)
        return min(self._count, _SHARED_AFTER.get(self._architecture, self._count))

    def _has_state(self, layer: int) -> bool:
        return any(_STATES.match(part) for part in self._parts.get(layer, ()))

    def _has_keys(self, layer: int) -> bool:
        parts = self._parts.get(layer)
        if not parts:
            return not self._parts  # a file whose tensors have other names is believed to have attention everywhere
        return any(_KEYS.match(part) for part in parts) or (_FUSED in parts and not self._has_state(layer))

    def _is_windowed(self, layer: int) -> bool:
        if not self.window:
            return False
        pattern = self._values.get(f"{self._architecture}.attention.sliding_window_pattern")
        if isinstance(pattern, list):
            return bool(pattern[layer % len(pattern)]) if pattern else False
        period = pattern if isinstance(pattern, int) else _PERIODS.get(self._architecture)
        if period is None:
            return False
        if period == 0:
            return True
        return layer % period != (0 if self._architecture in _FULL_FIRST else period - 1)

    def _kv_heads(self, layer: int) -> int:
        # Latent attention keeps one vector for all heads, which such files say as one head.
        return (
            self._number("attention.head_count_kv", layer)
            if self._says("attention.head_count_kv")
            else self._heads(layer)
        )

    def _heads(self, layer: int) -> int:
        return self._number("attention.head_count", layer)

    def _head_elements(self, *, is_windowed: bool) -> int:
        heads = self._heads(0) or max((self._heads(layer) for layer in range(self._count)), default=0)
        shared = self._number("embedding_length") // heads if heads else 0
        key = self._number("attention.key_length") or shared
        value = self._number("attention.value_length") or shared
        if is_windowed:
            key = self._number("attention.key_length_swa") or key
            value = self._number("attention.value_length_swa") or value
        return key if self._number("attention.key_length_mla") else key + value

    def _says(self, key: str) -> bool:
        return f"{self._architecture}.{key}" in self._values

    def _number(self, key: str, layer: int = 0) -> int:
        value = self._values.get(f"{self._architecture}.{key}")
        if isinstance(value, list):
            value = value[layer] if layer < len(value) else 0
        return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0
