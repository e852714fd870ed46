"""The bounded look into safetensors checkpoints."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from llmspell_protocol.errors import ModelLoadFailed, Unsupported
from llmspell_providers.library.checkpoint import read_checkpoint
from tests.support.gguf_files import safetensors_file

CONFIG = {"model_type": "t5", "d_model": 64, "num_layers": 2, "num_heads": 4, "d_kv": 16, "vocab_size": 100}
MODULES = [("Transformer", ""), ("Pooling", "1_Pooling")]
WEIGHTS = safetensors_file({"shared.weight": [100, 64], "lm_head.weight": [100, 64]})


def _files(directory: Path, **contents: bytes) -> dict[str, Path]:
    files = {}
    for key, content in contents.items():
        name = {"config": "config.json", "weights": "model.safetensors", "tokenizer": "tokenizer_config.json"}[key]
        files[name] = directory / f"{name}.part"
        files[name].write_bytes(content)
    return files


def test_a_checkpoint_is_described_by_its_configuration_and_headers(tmp_path: Path) -> None:
    tokenizer = json.dumps({"chat_template": "{{ messages }}"}).encode()
    found = read_checkpoint(_files(tmp_path, config=json.dumps(CONFIG).encode(), weights=WEIGHTS, tokenizer=tokenizer))

    assert (found.architecture, found.dtype, found.parameter_count) == ("t5", "F32", 12_800)
    assert (found.layers, found.heads, found.key_length, found.embedding_length) == (2, 4, 16, 64)
    assert found.chat_template == "{{ messages }}"


def test_a_template_in_a_file_of_its_own_goes_before_the_tokenizer_s(tmp_path: Path) -> None:
    tokenizer = json.dumps({"chat_template": "{{ messages }}"}).encode()
    files = _files(tmp_path, config=json.dumps(CONFIG).encode(), weights=WEIGHTS, tokenizer=tokenizer)
    files["chat_template.jinja"] = tmp_path / "chat_template.jinja.part"
    files["chat_template.jinja"].write_text("{{ mine }}")
    assert read_checkpoint(files).chat_template == "{{ mine }}"


@pytest.mark.parametrize(
    ("template", "found"),
    [
        ([{"name": "rag", "template": "r"}, {"name": "default", "template": "d"}], "d"),
        ([{"name": "rag", "template": "r"}], None),
        (None, None),
        (5, None),
    ],
)
def test_of_several_templates_the_default_one_is_taken(tmp_path: Path, template: object, found: str | None) -> None:
    tokenizer = json.dumps({"chat_template": template}).encode()
    files = _files(tmp_path, config=json.dumps(CONFIG).encode(), weights=WEIGHTS, tokenizer=tokenizer)
    assert read_checkpoint(files).chat_template == found


@pytest.mark.parametrize(
    ("model_type", "classes", "capability"),
    [
        ("t5", ["T5ForConditionalGeneration"], "chat"),
        ("t5", ["T5EncoderModel"], "embed"),
        ("llama", ["LlamaForCausalLM"], "chat"),
        ("gpt2", ["GPT2LMHeadModel"], "chat"),
        ("bert", ["BertForMaskedLM"], "embed"),
        ("electra", ["ElectraModel"], "embed"),
        ("mistral", ["MistralModel"], "embed"),
        ("llama", None, "chat"),
        ("llama", "LlamaForCausalLM", "chat"),
    ],
)
def test_what_a_checkpoint_is_for_stands_in_its_configuration(
    tmp_path: Path, model_type: str, classes: object, capability: str
) -> None:
    config = json.dumps({**CONFIG, "model_type": model_type, "architectures": classes}).encode()
    assert read_checkpoint(_files(tmp_path, config=config, weights=WEIGHTS)).capabilities == (capability,)


def test_a_model_that_neither_writes_nor_embeds_is_refused_by_name(tmp_path: Path) -> None:
    config = json.dumps({**CONFIG, "architectures": ["BertForSequenceClassification"]}).encode()
    with pytest.raises(Unsupported, match="BertForSequenceClassification"):
        read_checkpoint(_files(tmp_path, config=config, weights=WEIGHTS))


def test_what_sentence_transformers_saved_embeds_by_its_own_pooling_up_to_its_own_length(tmp_path: Path) -> None:
    described = {**CONFIG, "architectures": ["Qwen3ForCausalLM"], "max_position_embeddings": 512}
    files = _files(tmp_path, config=json.dumps(described).encode(), weights=WEIGHTS)
    modules = [{"type": f"sentence_transformers.models.{name}", "path": path} for name, path in MODULES]
    for name, content in {
        "modules.json": modules,
        "1_Pooling.config.json": {"pooling_mode_lasttoken": True},
        "sentence_bert_config.json": {"max_seq_length": 256},
    }.items():
        files[name] = tmp_path / name
        files[name].write_text(json.dumps(content))

    found = read_checkpoint(files)

    assert (found.capabilities, found.pooling, found.context_length) == (("embed",), "last", 256)


@pytest.mark.parametrize(
    ("contents", "says"),
    [
        ({"weights": WEIGHTS}, "'config.json' is missing"),
        ({"config": b"{}"}, "is missing: the model has no weights"),
        ({"config": b"{}", "weights": WEIGHTS}, "names no model_type"),
        ({"config": b"[" * 100_000, "weights": WEIGHTS}, "'config.json' is damaged"),
        ({"config": b"{}", "weights": b"short"}, "is not a safetensors file"),
        ({"config": b"{}", "weights": b"\xff" * 100}, "is not a safetensors file"),
        ({"config": b"{}", "weights": WEIGHTS[:50]}, "ends inside its header"),
        ({"config": b"{}", "weights": WEIGHTS[:-1]}, "is truncated: it has"),
        ({"config": b"{}", "weights": WEIGHTS.replace(b'"shape": [100', b'"shape": [-00')}, "damaged"),
    ],
)
def test_a_checkpoint_that_is_not_whole_is_refused_with_the_reason(
    tmp_path: Path, contents: dict[str, bytes], says: str
) -> None:
    with pytest.raises(ModelLoadFailed, match=says):
        read_checkpoint(_files(tmp_path, **contents))


@pytest.mark.parametrize(
    ("index", "says"),
    [
        (None, "'model.safetensors' is missing, and so is 'model.safetensors.index.json'"),
        ({}, "'model.safetensors.index.json' is damaged: it says of no weight where it is"),
        ({"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}, "'model-2.safetensors' is missing"),
        ({"weight_map": {"a": "model-1.safetensors"}}, None),
    ],
)
def test_every_file_that_the_index_of_weights_names_has_to_be_there(
    tmp_path: Path, index: object, says: str | None
) -> None:
    files = _files(tmp_path, config=json.dumps(CONFIG).encode())
    contents = {"model-1.safetensors": WEIGHTS}
    if index is not None:
        contents["model.safetensors.index.json"] = json.dumps(index).encode()
    for name, content in contents.items():
        files[name] = tmp_path / name
        files[name].write_bytes(content)
    if says is None:
        assert read_checkpoint(files).parameter_count == 12_800
        return
    with pytest.raises(ModelLoadFailed, match=says):
        read_checkpoint(files)


def test_a_thousand_damaged_files_are_read_or_refused_and_nothing_else(tmp_path: Path) -> None:
    files = _files(tmp_path, config=json.dumps(CONFIG).encode(), weights=WEIGHTS)
    small = safetensors_file({"w": [4, 4]})
    chance = random.Random(7)
    refused = 0
    for _ in range(1000):
        data = bytearray(small)
        for _ in range(chance.randint(1, 4)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        files["model.safetensors"].write_bytes(data)
        try:
            read_checkpoint(files)
        except ModelLoadFailed:
            refused += 1
    assert 100 < refused < 1000
