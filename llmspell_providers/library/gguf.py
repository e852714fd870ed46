"""What a GGUF file says about itself, after a check that it is one. For worker processes only: the kernel never parses.

The check is bounded: it refuses counts and lengths that no real model has before it follows them, reads nothing but the
header, and finds a file that ends before the tensors that it announces. Format: docs/gguf.md in ggml-org/ggml.
"""

from __future__ import annotations

import math
import mmap
import re
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from llmspell_protocol.errors import ModelLoadFailed
from llmspell_providers.library.context_memory import ContextMemory, TensorRow, context_memory
from llmspell_providers.library.thinking import may_think

MAGIC = b"GGUF"
VERSIONS = (2, 3)

# Real models: about 50 pairs, up to 30,000 tensors over all shards, vocabularies of 260,000, templates of 20 KB.
MAX_PAIRS = 65_536
MAX_TENSORS = 65_536
MAX_ARRAY = 1 << 24
MAX_NAME_BYTES = 65_535
MAX_STRING_BYTES = 1 << 24
MAX_DIMENSIONS = 4
MAX_ELEMENTS = 1 << 48
MAX_ALIGNMENT = 1 << 20
MAX_LAYERS = 1024  # llama.cpp's own limit is 512 (LLAMA_MAX_LAYERS); a hundred and some are in use
MAX_COUNT = (1 << 32) - 1  # of heads, experts, widths: the engines' integers hold no more
MAX_CONTEXT = (1 << 31) - 1  # signed there
MAX_HEADER_BYTES = 1 << 28
_KEPT_ARRAY = 4096
"""Longer arrays (vocabularies) are walked over; only their length is kept."""

_SCALARS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
_STRING, _ARRAY = 8, 9

# ggml type → elements and bytes of one block (ggml.c, type_traits).
_BLOCKS = {
    0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34), 9: (32, 40),
    10: (256, 84), 11: (256, 110), 12: (256, 144), 13: (256, 176), 14: (256, 210), 15: (256, 292), 16: (256, 66),
    17: (256, 74), 18: (256, 98), 19: (256, 50), 20: (32, 18), 21: (256, 110), 22: (256, 82), 23: (256, 136),
    24: (1, 1), 25: (1, 2), 26: (1, 4), 27: (1, 8), 28: (1, 8), 29: (256, 56), 30: (1, 2), 34: (256, 54),
    35: (256, 66), 39: (32, 17), 40: (64, 36), 41: (128, 18),
}  # fmt: skip

# general.file_type → name (llama.h, llama_ftype).
_FILE_TYPES = {
    0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 7: "Q8_0", 8: "Q5_0", 9: "Q5_1", 10: "Q2_K", 11: "Q3_K_S", 12: "Q3_K_M",
    13: "Q3_K_L", 14: "Q4_K_S", 15: "Q4_K_M", 16: "Q5_K_S", 17: "Q5_K_M", 18: "Q6_K", 19: "IQ2_XXS", 20: "IQ2_XS",
    21: "Q2_K_S", 22: "IQ3_XS", 23: "IQ3_XXS", 24: "IQ1_S", 25: "IQ4_NL", 26: "IQ3_S", 27: "IQ3_M", 28: "IQ2_S",
    29: "IQ2_M", 30: "IQ4_XS", 31: "IQ1_M", 32: "BF16", 36: "TQ1_0", 37: "TQ2_0", 38: "MXFP4_MOE", 39: "NVFP4",
    40: "Q1_0",
}  # fmt: skip

_GUESSED = 1024  # the bit that says that the file type was not chosen but found

_NEVER_ZERO = ("block_count", "context_length", "embedding_length")  # heads are: in models that keep states
_LAYERS = ("block_count", "nextn_predict_layers", "attention.shared_kv_layers")

_POOLING = {1: "mean", 2: "cls", 3: "last", 4: "rank"}
_TEMPLATE = "tokenizer.chat_template"
_TOOLS = re.compile(r"\btools\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class GgufMetadata:
    """One file's header; later parts of a split model name no architecture.

    Counts are None where the file does not say; `pooling` is None for a model of text.
    """

    architecture: str
    name: str | None
    quantization: str | None
    parameter_count: int
    context_length: int | None
    embedding_length: int | None
    layers: int | None
    heads: int | None
    kv_heads: int | None
    key_length: int | None
    value_length: int | None
    vocab_size: int | None
    chat_template: str | None
    chat_templates: Mapping[str, str]
    """Every chat template by its key: some files have further ones, for tools."""
    pooling: str | None
    license: str | None
    shards: int
    values: Mapping[str, Any] = field(repr=False)
    """All pairs; of a long array only the length."""
    tensors: Sequence[TensorRow] = field(repr=False)

    @property
    def tools(self) -> bool:
        """Whether the chat template knows tools: without that an engine ignores them in silence."""
        return self.chat_template is not None and _TOOLS.search(self.chat_template) is not None

    @property
    def capabilities(self) -> tuple[str, ...]:
        """`chat` with `tools` and `thinking` by the templates; `embed` for an encoder or a model with a pooling.

        The pooling `rank` is that of models that score texts for a question: `rerank`.
        """
        if self.pooling == "rank":
            return ("rerank",)
        if self.pooling is not None or "bert" in self.architecture or self.architecture.endswith("encoder"):
            return ("embed",)
        return ("chat", *["tools"] * self.tools, *["thinking"] * may_think(self.chat_templates))


def read_gguf(path: Path) -> GgufMetadata:
    """Checks a GGUF file's header and returns what it says.

    Raises:
        ModelLoadFailed: no GGUF, a version or structure that we do not read, or shorter than it announces.
        OSError: the file cannot be read.
    """
    size = path.stat().st_size
    if size < 24:
        _refuse(path, f"is not a GGUF file: it has {size} bytes")
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return _Header(path, data).metadata()


def memory_of(parts: Sequence[GgufMetadata]) -> ContextMemory:
    """What a model takes beside its weights; `parts` are all its files, the one that describes it first."""
    return context_memory(parts[0].values, [part.tensors for part in parts])


def _refuse(path: Path, why: str) -> NoReturn:
    raise ModelLoadFailed(
        f"'{path.name.removesuffix('.part')}' {why}",
        hint="choose a file that is a whole GGUF model; where it was downloaded, download it again",
        details={"file": path.name.removesuffix(".part")},
    )


class _Header:
    """A walk through the header, from the first byte to the end of the tensor table."""

    def __init__(self, path: Path, data: mmap.mmap) -> None:
        self._path = path
        self._data = data
        self._size = len(data)
        self._at = 0
        self._values: dict[str, Any] = {}
        self._elements = 0
        self._tensors: list[TensorRow] = []

    def metadata(self) -> GgufMetadata:
        if self._data[:4] != MAGIC:
            # Not what it begins with: a caller that may pull a path need not be allowed to read it.
            _refuse(self._path, "is not a GGUF file")
        self._at = 4
        version: int = self._scalar("<I")
        if version not in VERSIONS:
            swapped = int.from_bytes(version.to_bytes(4, "little"), "big")
            why = "is big-endian" if swapped in VERSIONS else f"has GGUF version {version}"
            _refuse(self._path, f"{why}; versions 2 and 3, little-endian, can be read")
        tensors = self._count("tensors", MAX_TENSORS)
        pairs = self._count("metadata pairs", MAX_PAIRS)
        for _ in range(pairs):
            key = self._text("key", MAX_NAME_BYTES)
            if key in self._values:
                _refuse(self._path, f"is damaged: '{key[:80]}' appears twice")
            self._values[key] = self._value(self._scalar("<I"))
            if self._at > MAX_HEADER_BYTES:
                _refuse(self._path, f"is damaged: its metadata is longer than {MAX_HEADER_BYTES} bytes")
        ends = [self._tensor() for _ in range(tensors)]
        self._check_length(max(ends, default=0))
        return self._described()

    def _scalar(self, form: str) -> Any:
        width = struct.calcsize(form)
        if self._at + width > self._size:
            self._truncated()
        (value,) = struct.unpack_from(form, self._data, self._at)
        self._at += width
        return value

    def _count(self, what: str, most: int) -> int:
        count: int = self._scalar("<Q")
        if count > most:
            _refuse(self._path, f"is damaged: it announces {count} {what}")
        return count

    def _skip(self, count: int) -> None:
        if count > self._size - self._at:
            self._truncated()
        self._at += count

    def _text(self, what: str, most: int) -> str:
        length = self._count(f"bytes in a {what}", most)
        start = self._at
        self._skip(length)
        # llama.cpp takes any bytes; a name or template that is not UTF-8 is shown as well as it can be.
        return self._data[start : self._at].decode("utf-8", "replace")

    def _value(self, kind: int) -> Any:
        if kind in _SCALARS:
            return self._scalar(_SCALARS[kind])
        if kind == _STRING:
            return self._text("string", MAX_STRING_BYTES)
        if kind != _ARRAY:
            _refuse(self._path, f"is damaged: value type {kind} does not exist")
        inner: int = self._scalar("<I")
        count = self._count("elements in an array", MAX_ARRAY)
        if inner in _SCALARS:
            if count <= _KEPT_ARRAY:
                return [self._scalar(_SCALARS[inner]) for _ in range(count)]
            self._skip(count * struct.calcsize(_SCALARS[inner]))
            return range(count)
        if inner != _STRING:
            _refuse(self._path, f"is damaged: an array of value type {inner}")
        for _ in range(count):
            self._skip(self._count("bytes in a string", MAX_STRING_BYTES))
        return range(count)

    def _tensor(self) -> int:
        """Reads one row of the tensor table; returns where the tensor ends, from the start of the tensor data."""
        name = self._text("tensor name", MAX_NAME_BYTES)
        dimensions: int = self._scalar("<I")
        if dimensions > MAX_DIMENSIONS:
            _refuse(self._path, f"is damaged: tensor '{name[:80]}' has {dimensions} dimensions")
        lengths: tuple[int, ...] = tuple(self._scalar("<Q") for _ in range(dimensions))
        row = lengths[0] if lengths else 1
        elements = math.prod(lengths)
        if not elements:
            _refuse(self._path, f"is damaged: tensor '{name[:80]}' has a length of 0")
        kind: int = self._scalar("<I")
        offset: int = self._scalar("<Q")
        if elements > MAX_ELEMENTS or offset > MAX_ELEMENTS:
            _refuse(self._path, f"is damaged: tensor '{name[:80]}' has {elements} elements at {offset}")
        # A type that is newer than this table is the engine's to judge; its place alone can be checked.
        block, width = _BLOCKS.get(kind, (1, 0))
        if row % block:
            _refuse(self._path, f"is damaged: rows of tensor '{name[:80]}' are not a multiple of {block}")
        self._elements += elements
        self._tensors.append(TensorRow(name, lengths, kind, offset, elements // block * width))
        return offset + elements // block * width

    def _check_length(self, end: int) -> None:
        alignment = self._values.get("general.alignment", 32)
        is_sound = isinstance(alignment, int) and 0 < alignment <= MAX_ALIGNMENT and alignment & (alignment - 1) == 0
        if not is_sound:
            _refuse(self._path, f"is damaged: alignment {alignment!r}")
        announced = -(-self._at // alignment) * alignment + end
        if end and announced > self._size:
            _refuse(self._path, f"is truncated: it has {self._size} of the {announced} bytes that its header announces")

    def _check_numbers(self, architecture: str) -> None:
        """Refuses numbers that no model has: they are multiplied, divided by and counted up to further on."""
        prefix = f"{architecture}."
        for key, value in self._values.items():
            if not key.startswith(prefix):
                continue
            for one in value if isinstance(value, list) else (value,):
                if isinstance(one, int) and abs(one) > MAX_COUNT:
                    _refuse(self._path, f"is damaged: '{key[:80]}' is {one}")
        for name in _NEVER_ZERO:
            if self._values.get(prefix + name) == 0:
                _refuse(self._path, f"is damaged: '{prefix}{name}' is 0")
        if isinstance(tokens := self._values.get(f"{prefix}context_length"), int) and tokens > MAX_CONTEXT:
            _refuse(self._path, f"is damaged: it announces a context of {tokens} tokens")
        for name in _LAYERS:
            if isinstance(layers := self._values.get(prefix + name), int) and layers > MAX_LAYERS:
                _refuse(self._path, f"is damaged: it announces {layers} layers")

    def _truncated(self) -> NoReturn:
        _refuse(self._path, f"is truncated: it ends inside its header, after {self._size} bytes")

    def _described(self) -> GgufMetadata:
        values = self._values
        # Only the first part of a split model describes it (llama.cpp, gguf-split.cpp).
        later_part = isinstance(values.get("split.no"), int) and values["split.no"] > 0
        architecture = values.get("general.architecture", "" if later_part else None)
        if not isinstance(architecture, str) or not (architecture or later_part):
            _refuse(self._path, "names no architecture")
        if values.get("general.type", "model") != "model":
            _refuse(self._path, f"is not a model but {values['general.type']!r}")

        def number(key: str, pick: Callable[[list[int]], int] = max) -> int | None:
            value = values.get(f"{architecture}.{key}")
            if isinstance(value, list):  # one number a layer
                value = pick(value) if value and all(isinstance(one, int) for one in value) else None
            return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None

        self._check_numbers(architecture)
        width, heads = number("embedding_length"), number("attention.head_count")
        shared = width // heads if width and heads else None
        tokens = values.get("tokenizer.ggml.tokens")
        template = values.get(_TEMPLATE)
        name, licence = values.get("general.name"), values.get("general.license")
        file_type = values.get("general.file_type")
        shards = values.get("split.count", 1)
        if not self._elements and shards == 1:
            _refuse(self._path, "holds no tensors")
        return GgufMetadata(
            architecture=architecture,
            name=name if isinstance(name, str) else None,
            quantization=_FILE_TYPES.get(file_type & ~_GUESSED) if isinstance(file_type, int) else None,
            parameter_count=self._elements,
            context_length=number("context_length"),
            embedding_length=width,
            layers=number("block_count"),
            heads=heads,
            kv_heads=number("attention.head_count_kv") or heads,
            key_length=number("attention.key_length") or shared,
            value_length=number("attention.value_length") or shared,
            vocab_size=number("vocab_size") or (len(tokens) if isinstance(tokens, (list, range)) else None),
            chat_template=template if isinstance(template, str) and template else None,
            chat_templates={
                key: value for key, value in values.items() if key.startswith(_TEMPLATE) and isinstance(value, str)
            },
            pooling=_POOLING.get(number("pooling_type") or 0),
            license=licence if isinstance(licence, str) else None,
            shards=shards if isinstance(shards, int) else 1,
            values=values,
            tensors=self._tensors,
        )
