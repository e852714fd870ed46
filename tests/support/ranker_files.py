"""Small cross-encoders as GGUF files: of any weights, and of random ones. Needs numpy and gguf, not torch.

BERT with one kind of token, which is what llama.cpp computes: it takes the first kind for all.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
WORDS = ("red", "green", "blue", "black", "white", "pink", "grey", "brown", "gold", "teal")
VOCABULARY = (*SPECIAL, *WORDS)
WIDTH, LAYERS, HEADS, INNER, LONGEST = 32, 2, 4, 64, 64
_EPSILON = 1e-12
_LAYER = (
    ("attention.self.query", "attn_q", (WIDTH, WIDTH)),
    ("attention.self.key", "attn_k", (WIDTH, WIDTH)),
    ("attention.self.value", "attn_v", (WIDTH, WIDTH)),
    ("attention.output.dense", "attn_output", (WIDTH, WIDTH)),
    ("attention.output.LayerNorm", "attn_output_norm", (WIDTH,)),
    ("intermediate.dense", "ffn_up", (INNER, WIDTH)),
    ("output.dense", "ffn_down", (WIDTH, INNER)),
    ("output.LayerNorm", "layer_output_norm", (WIDTH,)),
)
_OUTSIDE = (
    ("bert.embeddings.word_embeddings", "token_embd", (len(VOCABULARY), WIDTH)),
    ("bert.embeddings.token_type_embeddings", "token_types", (1, WIDTH)),
    ("bert.embeddings.position_embeddings", "position_embd", (LONGEST, WIDTH)),
    ("bert.embeddings.LayerNorm", "token_embd_norm", (WIDTH,)),
    ("bert.pooler.dense", "cls", (WIDTH, WIDTH)),
    ("classifier", "cls.output", (1, WIDTH)),
)
_TABLES = ("token_embd", "token_types", "position_embd")


def names() -> dict[str, tuple[str, tuple[int, ...]]]:
    """Every weight by transformers' name: llama.cpp's name and the shape."""
    inside = [
        (f"bert.encoder.layer.{layer}.{theirs}", f"blk.{layer}.{ours}", shape)
        for layer in range(LAYERS)
        for theirs, ours, shape in _LAYER
    ]
    found: dict[str, tuple[str, tuple[int, ...]]] = {}
    for theirs, ours, shape in (*_OUTSIDE, *inside):
        found[f"{theirs}.weight"] = (f"{ours}.weight", shape)
        if ours not in _TABLES:
            found[f"{theirs}.bias"] = (f"{ours}.bias", shape[:1])
    return found


def random_ranker(path: Path) -> Path:
    """Writes one whose scores mean nothing, but differ."""
    import numpy

    numbers = numpy.random.default_rng(7)
    weights = {
        theirs: numpy.ones(shape, "f") if "LayerNorm.weight" in theirs else numbers.normal(0, 0.3, shape).astype("f")
        for theirs, (_, shape) in names().items()
    }
    return write_ranker(path, weights)


def write_ranker(path: Path, weights: Mapping[str, Any]) -> Path:
    """Writes float32 weights (numpy arrays by transformers' names) and the vocabulary as a GGUF file."""
    import gguf

    writer = gguf.GGUFWriter(path, "bert")
    writer.add_context_length(LONGEST)
    writer.add_embedding_length(WIDTH)
    writer.add_feed_forward_length(INNER)
    writer.add_block_count(LAYERS)
    writer.add_head_count(HEADS)
    writer.add_layer_norm_eps(_EPSILON)
    writer.add_causal_attention(False)
    writer.add_pooling_type(gguf.PoolingType.RANK)
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    writer.add_tokenizer_model("bert")
    writer.add_tokenizer_pre("bert-bge")
    writer.add_token_type_count(1)
    writer.add_token_list([word if word in SPECIAL else f"\u2581{word}" for word in VOCABULARY])
    control, normal = gguf.TokenType.CONTROL, gguf.TokenType.NORMAL
    writer.add_token_types([control if word in SPECIAL else normal for word in VOCABULARY])
    writer.add_bos_token_id(VOCABULARY.index("[CLS]"))
    # A pair is [CLS] question [SEP] text [SEP]: each ends with an end, and nothing more stands between them.
    writer.add_eos_token_id(VOCABULARY.index("[SEP]"))
    writer.add_sep_token_id(VOCABULARY.index("[SEP]"))
    writer.add_add_eos_token(True)
    writer.add_add_sep_token(False)
    writer.add_pad_token_id(VOCABULARY.index("[PAD]"))
    writer.add_unk_token_id(VOCABULARY.index("[UNK]"))
    writer.add_mask_token_id(VOCABULARY.index("[MASK]"))
    for theirs, (ours, _) in names().items():
        writer.add_tensor(ours, weights[theirs])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
