"""Sentence encoders as GGUF files: what is written can be read, and what llama.cpp computes otherwise is refused."""

from __future__ import annotations

import array
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llmspell_protocol.errors import LlmspellError, ModelLoadFailed, Unsupported
from llmspell_providers.library.bert_gguf import write_bert_gguf
from llmspell_providers.library.gguf import read_gguf
from tests.support.bert_files import INNER, TOKENIZER, WIDTH, WORDS, encoder_files, shapes, weights


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    contents = {name.replace("/", "."): content for name, content in encoder_files().items()}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    return {name: tmp_path / name for name in contents}


def test_what_is_written_says_what_the_checkpoint_said(files: dict[str, Path], tmp_path: Path) -> None:
    target = tmp_path / "made.gguf"

    pooling = write_bert_gguf(files, target, name="tiny")

    made = read_gguf(target)
    assert (made.architecture, made.quantization, made.pooling, made.capabilities) == ("bert", "F16", "cls", ("embed",))
    assert (made.context_length, made.embedding_length, made.layers, made.heads, made.vocab_size) == (16, 4, 1, 2, 7)
    assert (pooling.max_tokens, pooling.modes) == (12, ("cls",))
    assert made.values["tokenizer.ggml.seperator_token_id"] == WORDS.index("[SEP]")
    rows = {row.name: row for row in made.tensors}
    assert len(rows) == len(shapes()) - 2, "the pooler is of no use"
    # Axes from the fastest to the slowest, matrices as float16.
    assert (rows["blk.0.ffn_up.weight"].dimensions, rows["blk.0.ffn_up.weight"].kind) == ((WIDTH, INNER), 1)
    assert rows["position_embd.weight"].kind == rows["blk.0.attn_q.bias"].kind == 0


def test_numbers_keep_their_places(files: dict[str, Path], tmp_path: Path) -> None:
    target = tmp_path / "made.gguf"
    write_bert_gguf(files, target, name="tiny")

    import gguf

    tensors = {tensor.name: tensor.data for tensor in gguf.GGUFReader(target).tensors}
    expected = array.array("f", [0.25 + number for number in range(INNER * WIDTH)])
    assert tensors["blk.0.ffn_up.weight"].astype("f").flatten().tolist() == expected.tolist()
    assert tensors["blk.0.ffn_up.bias"].tolist() == [0.25 + number for number in range(INNER)]


Change = Callable[[dict[str, Path]], Any]


def _json(name: str, **fields: Any) -> Change:
    def change(files: dict[str, Path]) -> None:
        content = json.loads(files[name].read_text())
        files[name].write_text(json.dumps({**content, **fields}))

    return change


def _with_a_short_tensor() -> bytes:
    """The first weight says that it is one row shorter than its place."""
    whole = weights()
    length = int.from_bytes(whole[:8], "little")
    header = json.loads(whole[8 : 8 + length])
    header["embeddings.word_embeddings.weight"]["shape"][0] -= 1
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + whole[8 + length :]


def _weights(**arguments: Any) -> Change:
    return lambda files: files["model.safetensors"].write_bytes(weights(**arguments))


@pytest.mark.parametrize(
    ("change", "kind", "why"),
    [
        (_json("config.json", model_type="roberta"), Unsupported, "model_type is 'roberta'"),
        (_json("config.json", hidden_act="relu"), Unsupported, "hidden_act is 'relu'"),
        (_json("config.json", position_embedding_type="relative_key"), Unsupported, "'relative_key'"),
        (_json("config.json", num_hidden_layers="two"), ModelLoadFailed, "has no num_hidden_layers"),
        (_json("1_Pooling.config.json", pooling_mode_mean_tokens=True), Unsupported, "pooling is cls+mean"),
        (_json("tokenizer.json", normalizer={"type": "BertNormalizer", "lowercase": False}), Unsupported, "capitals"),
        (_json("tokenizer.json", model={"type": "BPE", "vocab": {}}), Unsupported, "not WordPiece"),
        (_json("tokenizer.json", model=None), ModelLoadFailed, "is damaged"),
        (_json("config.json", layer_norm_eps="small"), ModelLoadFailed, "has no layer_norm_eps"),
        (_json("tokenizer.json", model={**TOKENIZER["model"], "vocab": {"\ud800": 0}}), ModelLoadFailed, "is damaged"),
        (lambda files: files["model.safetensors"].write_bytes(_with_a_short_tensor()), ModelLoadFailed, "its shape"),
        (_weights(value=70_000.0), Unsupported, "larger than float16"),
        (_weights(dtype="BF16"), Unsupported, "BF16"),
        (lambda files: files.pop("tokenizer.json"), ModelLoadFailed, "is missing"),
        (lambda files: files.pop("modules.json"), Unsupported, "modules.json"),
    ],
)
def test_what_would_be_computed_otherwise_is_refused(
    files: dict[str, Path], tmp_path: Path, change: Change, kind: type[LlmspellError], why: str
) -> None:
    change(files)
    with pytest.raises(kind) as caught:
        write_bert_gguf(files, tmp_path / "made.gguf", name="tiny")
    assert why in caught.value.message
