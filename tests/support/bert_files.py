"""The files of a small sentence encoder of BERT's shape, whose numbers mean nothing, written by hand."""

from __future__ import annotations

import json
import struct

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "cat", "##s"]
WIDTH, INNER = 4, 8
CONFIG = {
    "model_type": "bert",
    "architectures": ["BertModel"],
    "hidden_act": "gelu",
    "hidden_size": WIDTH,
    "intermediate_size": INNER,
    "max_position_embeddings": 16,
    "num_attention_heads": 2,
    "num_hidden_layers": 1,
}
TOKENIZER = {
    "added_tokens": [{"id": number, "content": word, "special": True} for number, word in enumerate(WORDS[:5])],
    "normalizer": {"type": "BertNormalizer", "lowercase": True},
    "model": {
        "type": "WordPiece",
        "continuing_subword_prefix": "##",
        "vocab": {word: number for number, word in enumerate(WORDS)},
    },
}
MODULES = [
    {"type": "sentence_transformers.models.Transformer", "path": ""},
    {"type": "sentence_transformers.models.Pooling", "path": "1_Pooling"},
]


def shapes() -> dict[str, list[int]]:
    """Every weight and its shape."""
    square, layer = [WIDTH, WIDTH], "encoder.layer.0."
    found = {
        "embeddings.word_embeddings": [len(WORDS), WIDTH],
        "embeddings.position_embeddings": [16, WIDTH],
        "embeddings.token_type_embeddings": [2, WIDTH],
        "embeddings.LayerNorm": [WIDTH],
        f"{layer}attention.self.query": square,
        f"{layer}attention.self.key": square,
        f"{layer}attention.self.value": square,
        f"{layer}attention.output.dense": square,
        f"{layer}attention.output.LayerNorm": [WIDTH],
        f"{layer}intermediate.dense": [INNER, WIDTH],
        f"{layer}output.dense": [WIDTH, INNER],
        f"{layer}output.LayerNorm": [WIDTH],
        "pooler.dense": square,
    }
    biases = {f"{name}.bias": shape[:1] for name, shape in found.items() if not name.endswith("embeddings")}
    return {f"{name}.weight": shape for name, shape in found.items()} | biases


def weights(value: float = 0.25, dtype: str = "F32") -> bytes:
    """A safetensors file with all of them: `value`, and then one more each."""
    header, data = {}, b""
    for name, shape in shapes().items():
        count = shape[0] * (shape[1] if len(shape) == 2 else 1)
        own = struct.pack(f"<{count}f", *[value + number for number in range(count)])
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(own)]}
        data += own
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def encoder_files() -> dict[str, bytes]:
    """All files by their places; it pools by the first token and reads twelve tokens."""
    return {
        "config.json": json.dumps(CONFIG).encode(),
        "tokenizer.json": json.dumps(TOKENIZER).encode(),
        "modules.json": json.dumps(MODULES).encode(),
        "1_Pooling/config.json": b'{"pooling_mode_cls_token": true}',
        "sentence_bert_config.json": b'{"max_seq_length": 12}',
        "model.safetensors": weights(),
    }
