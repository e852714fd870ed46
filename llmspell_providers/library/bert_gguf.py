"""A sentence encoder of BERT's shape as one GGUF file, so that llama.cpp runs it and PyTorch is not needed.

Reads safetensors and writes matrices as float16 and all else as float32, by nothing but the standard library. What
llama.cpp would compute otherwise than the model's authors is refused: another tokenizer than lower-case WordPiece,
another pooling than one mean or the first token's, other numbers. Names: llama.cpp, `convert_hf_to_gguf.py` (BertModel)
and `gguf-py/gguf/constants.py`.
"""

from __future__ import annotations

import array
import json
import math
import re
import struct
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from llmspell_protocol.errors import ModelLoadFailed, Unsupported
from llmspell_providers.library.checkpoint import MAX_HEADER_BYTES, read_checkpoint
from llmspell_providers.library.pooling import Pooling, read_pooling

FILE_TYPE = "F16"
_WEIGHTS = "model.safetensors"
_ALIGNMENT = 32
_CHUNK = 1 << 16
"""Elements that are converted at a time: each is a Python float for that long."""
_UINT32, _FLOAT32, _BOOL, _STRING, _ARRAY, _INT32 = 4, 6, 7, 8, 9, 5
_F32, _F16 = 0, 1
_MOSTLY_F16 = 1
_POOLING = {"mean": 1, "cls": 2}
_NORMAL, _CONTROL = 1, 3
_SPECIAL = {"cls": "bos", "sep": "seperator", "pad": "padding", "unk": "unknown", "mask": "mask"}
"""Tokens by the tokenizer's word for them and llama.cpp's, with its spelling."""
_BEGINS_A_WORD = "\u2581"
_OUTSIDE = {
    "embeddings.word_embeddings": "token_embd",
    "embeddings.token_type_embeddings": "token_types",
    "embeddings.position_embeddings": "position_embd",
    "embeddings.LayerNorm": "token_embd_norm",
}
_INSIDE = {
    "attention.self.query": "attn_q",
    "attention.self.key": "attn_k",
    "attention.self.value": "attn_v",
    "attention.output.dense": "attn_output",
    "attention.output.LayerNorm": "attn_output_norm",
    "intermediate.dense": "ffn_up",
    "output.dense": "ffn_down",
    "output.LayerNorm": "layer_output_norm",
}
_UNUSED = re.compile(r"embeddings\.position_ids|pooler\..*")
_LAYER = re.compile(r"encoder\.layer\.(\d+)\.(.*)")
_FLOAT32_TABLES = ("token_types.weight", "position_embd.weight")
"""Matrices that llama.cpp adds to others, which it does in float32."""


@dataclass(frozen=True, slots=True)
class _Tensor:
    """One tensor of the new file; `start` is its place in the file of weights, `kind` ggml's number of its type."""

    name: str
    shape: tuple[int, ...]
    start: int
    kind: int

    @property
    def elements(self) -> int:
        return math.prod(self.shape)

    @property
    def size(self) -> int:
        return self.elements * (2 if self.kind == _F16 else 4)


def write_bert_gguf(files: Mapping[str, Path], target: Path, *, name: str) -> Pooling:
    """Writes the sentence encoder in `files` (by their flat names) to `target`; returns how it pools.

    Raises:
        Unsupported: it is no encoder that llama.cpp computes as its authors do.
        ModelLoadFailed: a file is missing or damaged.
        OSError: a file can't be read or written.
    """
    read_checkpoint(files)
    config = json.loads(files["config.json"].read_bytes())
    pooling = read_pooling(files)
    if pooling is None:
        raise _unsupported("it does not say how it makes one vector of a text (modules.json)")
    _check(config, pooling)
    pairs = [*_described(config, pooling, name), *_vocabulary(files)]
    with files[_WEIGHTS].open("rb") as weights, target.open("wb") as out:
        tensors = list(_tensors(weights))
        _write_header(out, pairs, tensors)
        for tensor in tensors:
            _write_tensor(weights, out, tensor)
    return pooling


def _check(config: Mapping[str, Any], pooling: Pooling) -> None:
    wanted = {"model_type": "bert", "hidden_act": "gelu"}
    for key, value in wanted.items():
        if config.get(key) != value:
            raise _unsupported(f"its {key} is {config.get(key)!r}, not {value!r}")
    if config.get("position_embedding_type", "absolute") != "absolute":
        raise _unsupported(f"its position_embedding_type is {config['position_embedding_type']!r}, not 'absolute'")
    if len(pooling.modes) != 1 or pooling.modes[0] not in _POOLING:
        raise _unsupported(f"its pooling is {pooling.name}")
    if pooling.prompt:
        raise _unsupported("it wants a prompt before every text")


def _described(config: Mapping[str, Any], pooling: Pooling, name: str) -> Iterator[bytes]:
    numbers = {
        "context_length": "max_position_embeddings",
        "embedding_length": "hidden_size",
        "feed_forward_length": "intermediate_size",
        "block_count": "num_hidden_layers",
        "attention.head_count": "num_attention_heads",
    }
    yield _string("general.architecture", "bert")
    yield _string("general.name", name)
    yield _uint("general.file_type", _MOSTLY_F16)
    for key, field in numbers.items():
        value = config.get(field)
        if not isinstance(value, int) or not 0 < value < 1 << 32:
            raise _damaged("config.json", f"has no {field}")
        yield _uint(f"bert.{key}", value)
    epsilon = config.get("layer_norm_eps", 1e-12)
    if not isinstance(epsilon, float) or not 0 < epsilon < 1:
        raise _damaged("config.json", "has no layer_norm_eps")
    yield _key("bert.attention.layer_norm_epsilon", _FLOAT32) + struct.pack("<f", epsilon)
    yield _key("bert.attention.causal", _BOOL) + b"\0"
    yield _uint("bert.pooling_type", _POOLING[pooling.modes[0]])


def _vocabulary(files: Mapping[str, Path]) -> Iterator[bytes]:
    if "tokenizer.json" not in files:
        raise _damaged("tokenizer.json", "is missing")
    try:
        tokenizer = json.loads(files["tokenizer.json"].read_bytes())
        model, normalizer = tokenizer["model"], tokenizer["normalizer"] or {}
        added = {one["content"] for one in tokenizer.get("added_tokens", ()) if one.get("special")}
        vocabulary = sorted(model["vocab"].items(), key=lambda entry: entry[1])
        "".join(model["vocab"]).encode()  # half a character is no text
        if model.get("type", "WordPiece") != "WordPiece" or model.get("continuing_subword_prefix") != "##":
            raise _unsupported("its tokenizer is not WordPiece")
        if normalizer.get("type") != "BertNormalizer" or normalizer.get("lowercase") is not True:
            raise _unsupported("its tokenizer tells capitals from small letters")
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise _damaged("tokenizer.json", f"is damaged: {error}") from error
    if [number for _, number in vocabulary] != list(range(len(vocabulary))):
        raise _unsupported("the numbers of its tokens have gaps")
    yield _string("tokenizer.ggml.model", "bert")
    yield _string("tokenizer.ggml.pre", "bert-bge")
    yield _uint("tokenizer.ggml.token_type_count", 2)
    words = [token for token, _ in vocabulary]
    kinds = [_CONTROL if token in added else _NORMAL for token in words]
    yield (
        _key("tokenizer.ggml.tokens", _ARRAY)
        + struct.pack("<IQ", _STRING, len(words))
        + b"".join(_text(token if token in added else _as_word(token)) for token in words)
    )
    yield _key("tokenizer.ggml.token_type", _ARRAY) + struct.pack(f"<IQ{len(kinds)}i", _INT32, len(kinds), *kinds)
    numbers = dict(vocabulary)
    for word, key in _SPECIAL.items():
        if (token := f"[{word.upper()}]") not in numbers:
            raise _unsupported(f"its tokenizer has no {token}")
        yield _uint(f"tokenizer.ggml.{key}_token_id", numbers[token])


def _as_word(token: str) -> str:
    """A token as llama.cpp keeps it: marked where a word begins, not where one goes on."""
    return token[2:] if token.startswith("##") else f"{_BEGINS_A_WORD}{token}"


def _tensors(weights: BinaryIO) -> Iterator[_Tensor]:
    length = int.from_bytes(weights.read(8), "little")
    if length > MAX_HEADER_BYTES:
        raise _damaged(_WEIGHTS, "is not a safetensors file")
    header = json.loads(weights.read(length))
    for name, entry in header.items():
        plain = name.removeprefix("bert.")
        if name == "__metadata__" or _UNUSED.fullmatch(plain):
            continue
        if entry.get("dtype") != "F32":
            raise _unsupported(f"its weights are {entry.get('dtype')}, not F32")
        new, shape = _new_name(plain), tuple(entry["shape"])
        begin, end = entry["data_offsets"]
        if end - begin != 4 * math.prod(shape):
            raise _damaged(_WEIGHTS, f"is damaged: '{name[:80]}' is longer or shorter than its shape")
        half = len(shape) == 2 and new not in _FLOAT32_TABLES
        yield _Tensor(new, shape, 8 + length + begin, _F16 if half else _F32)


def _new_name(name: str) -> str:
    stem, _, kind = name.rpartition(".")
    layer = _LAYER.fullmatch(stem)
    if layer is not None and layer[2] in _INSIDE:
        return f"blk.{layer[1]}.{_INSIDE[layer[2]]}.{kind}"
    if stem in _OUTSIDE:
        return f"{_OUTSIDE[stem]}.{kind}"
    raise _unsupported(f"it has weights '{name[:80]}', which BERT has not")


def _write_header(out: BinaryIO, pairs: Sequence[bytes], tensors: Sequence[_Tensor]) -> None:
    out.write(b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(pairs)))
    out.writelines(pairs)
    at = 0
    for tensor in tensors:
        # From the fastest axis to the slowest, the other way round than safetensors.
        axes = tensor.shape[::-1]
        out.write(_text(tensor.name) + struct.pack(f"<I{len(axes)}QIQ", len(axes), *axes, tensor.kind, at))
        at += tensor.size + -tensor.size % _ALIGNMENT
    out.write(b"\0" * (-out.tell() % _ALIGNMENT))


def _write_tensor(weights: BinaryIO, out: BinaryIO, tensor: _Tensor) -> None:
    weights.seek(tensor.start)
    for begin in range(0, tensor.elements, _CHUNK):
        data = weights.read(4 * min(_CHUNK, tensor.elements - begin))
        out.write(_halved(data) if tensor.kind == _F16 else data)
    out.write(b"\0" * (-tensor.size % _ALIGNMENT))


def _halved(data: bytes) -> bytes:
    """Float32 as float16, both little-endian."""
    values = array.array("f", data)
    if sys.byteorder == "big":
        values.byteswap()
    try:
        return struct.pack(f"<{len(values)}e", *values)
    except OverflowError:
        raise _unsupported("it has weights that are larger than float16 can say") from None


def _text(value: str) -> bytes:
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def _key(key: str, kind: int) -> bytes:
    return _text(key) + struct.pack("<I", kind)


def _string(key: str, value: str) -> bytes:
    return _key(key, _STRING) + _text(value)


def _uint(key: str, value: int) -> bytes:
    return _key(key, _UINT32) + struct.pack("<I", value)


def _unsupported(why: str) -> Unsupported:
    return Unsupported(
        f"the model can't be made a GGUF file: {why}",
        hint="a GGUF file of it from elsewhere, or its safetensors with the engine torch",
        details={"operation": "pull"},
    )


def _damaged(file: str, why: str) -> ModelLoadFailed:
    return ModelLoadFailed(
        f"'{file}' {why}", hint="pull it again with --force, or choose another model", details={"file": file}
    )
