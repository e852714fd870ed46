"""Small files of weights, written by hand: sound ones, and the pieces to make unsound ones of."""

from __future__ import annotations

import json
import math
import os
import struct
from collections.abc import Mapping

UINT32, STRING, ARRAY, UINT64, INT32 = 4, 8, 9, 10, 5
F32 = 0


def text(value: str) -> bytes:
    """A string as GGUF writes it."""
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def pair(key: str, value: object) -> bytes:
    """A metadata pair: strings, ints (uint32) and lists of strings or ints."""
    if isinstance(value, str):
        return text(key) + struct.pack("<I", STRING) + text(value)
    if isinstance(value, int):
        return text(key) + struct.pack("<II", UINT32, value)
    assert isinstance(value, list)
    head = text(key) + struct.pack("<I", ARRAY)
    if value and isinstance(value[0], str):
        return head + struct.pack("<IQ", STRING, len(value)) + b"".join(text(one) for one in value)
    return head + struct.pack("<IQ", INT32, len(value)) + struct.pack(f"<{len(value)}i", *value)


def tensor(name: str, dimensions: list[int], kind: int = F32, offset: int = 0) -> bytes:
    """A row of the tensor table."""
    return (
        text(name)
        + struct.pack("<I", len(dimensions))
        + struct.pack(f"<{len(dimensions)}Q", *dimensions)
        + struct.pack("<IQ", kind, offset)
    )


def header(pairs: list[bytes], tensors: list[bytes], *, version: int = 3, magic: bytes = b"GGUF") -> bytes:
    """Everything before the tensor data, unpadded."""
    return magic + struct.pack("<IQQ", version, len(tensors), len(pairs)) + b"".join(pairs) + b"".join(tensors)


METADATA: dict[str, object] = {
    "general.architecture": "llama",
    "general.file_type": 0,
    "llama.context_length": 2048,
    "llama.embedding_length": 64,
    "llama.block_count": 2,
    "llama.attention.head_count": 4,
    "llama.attention.head_count_kv": 2,
    "tokenizer.ggml.tokens": ["<s>", "</s>", "a"],
    "tokenizer.chat_template": "{% for m in messages %}{{ m.content }}{% endfor %}",
}


def gguf_file(size_bytes: int = 4096, metadata: Mapping[str, object] = METADATA, seed: bytes | None = None) -> bytes:
    """A sound GGUF file of about this size: one float32 tensor of random (or of repeated `seed`) bytes."""
    elements = max(1, size_bytes // 4)
    head = header([pair(key, value) for key, value in metadata.items()], [tensor("token_embd.weight", [elements])])
    head += b"\0" * (-len(head) % 32)
    length = elements * 4
    return head + (os.urandom(length) if seed is None else (seed * (length // len(seed) + 1))[:length])


def safetensors_file(tensors: Mapping[str, list[int]]) -> bytes:
    """A sound safetensors file of float32 zeros in these shapes."""
    entries = {}
    at = 0
    for name, shape in tensors.items():
        size = 4 * math.prod(shape)
        entries[name] = {"dtype": "F32", "shape": shape, "data_offsets": [at, at + size]}
        at += size
    head = json.dumps(entries).encode()
    return len(head).to_bytes(8, "little") + head + bytes(at)
