"""A model of a few kilobytes that a GGUF engine can load, with the chat templates of another: to try these alone."""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping

_WIDTH = 32
_BYTES = 256
_UINT32, _INT32, _FLOAT32, _STRING, _ARRAY = 4, 5, 6, 8, 9
_ALIGNMENT = 32
_NORMAL, _UNKNOWN, _CONTROL, _BYTE = 1, 2, 3, 6
_WORDS = ["<unk>", "<s>", "</s>"]


def trial_model(templates: Mapping[str, str]) -> bytes:
    """A GGUF file: one layer of zeros, a vocabulary of bytes, and `templates` by their keys in the metadata."""
    words = [*_WORDS, *(f"<0x{byte:02X}>" for byte in range(_BYTES))]
    pairs = [
        _string("general.architecture", "llama"),
        _count("llama.context_length", 512),
        _count("llama.embedding_length", _WIDTH),
        _count("llama.block_count", 1),
        _count("llama.feed_forward_length", _WIDTH),
        _count("llama.attention.head_count", 1),
        _count("llama.rope.dimension_count", _WIDTH),
        _text("llama.attention.layer_norm_rms_epsilon") + struct.pack("<If", _FLOAT32, 1e-5),
        _string("tokenizer.ggml.model", "llama"),
        _array("tokenizer.ggml.tokens", _STRING, len(words), b"".join(map(_text, words))),
        _array("tokenizer.ggml.scores", _FLOAT32, len(words), bytes(4 * len(words))),
        _array(
            "tokenizer.ggml.token_type", _INT32, len(words), _numbers([_UNKNOWN, _CONTROL, _CONTROL] + [_BYTE] * _BYTES)
        ),
        _count("tokenizer.ggml.bos_token_id", 1),
        _count("tokenizer.ggml.eos_token_id", 2),
        *(_string(key, template) for key, template in templates.items()),
    ]
    shapes = {"token_embd.weight": (_WIDTH, len(words)), "output_norm.weight": (_WIDTH,)}
    shapes |= {f"blk.0.{name}_norm.weight": (_WIDTH,) for name in ("attn", "ffn")}
    square = ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down")
    shapes |= {f"blk.0.{name}.weight": (_WIDTH, _WIDTH) for name in square}
    table, offset = b"", 0
    for name, shape in shapes.items():
        table += _text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, 0, offset)
        offset += 4 * math.prod(shape)
    head = b"GGUF" + struct.pack("<IQQ", 3, len(shapes), len(pairs)) + b"".join(pairs) + table
    return head + bytes(-len(head) % _ALIGNMENT + offset)


def _text(value: str) -> bytes:
    data = value.encode("utf-8", "replace")
    return struct.pack("<Q", len(data)) + data


def _string(key: str, value: str) -> bytes:
    return _text(key) + struct.pack("<I", _STRING) + _text(value)


def _count(key: str, value: int) -> bytes:
    return _text(key) + struct.pack("<II", _UINT32, value)


def _array(key: str, kind: int, length: int, data: bytes) -> bytes:
    return _text(key) + struct.pack("<IIQ", _ARRAY, kind, length) + data


def _numbers(values: list[int]) -> bytes:
    return struct.pack(f"<{len(values)}i", *values)
