"""Checkpoints whose headers, configuration and tokenizer files lie, are cut or are no JSON: refused or read."""

import json
import random as numbers
from typing import Any

from llmspell_protocol.errors import ModelLoadFailed, Unsupported
from llmspell_providers.library.checkpoint import read_checkpoint
from llmspell_providers.library.pooling import flat_files
from tests.fuzz.trial import Trial
from tests.support.gguf_files import safetensors_file

CONFIG = {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": 64,
    "num_attention_heads": 4,
    "num_hidden_layers": 2,
    "max_position_embeddings": 512,
    "vocab_size": 100,
}
TOKENIZER = {"chat_template": "{{ messages }}", "model_max_length": 512}
INDEX = {"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}
POOLING = {"word_embedding_dimension": 64, "pooling_mode_mean_tokens": True}
ODD: tuple[Any, ...] = (
    *(None, True, -1, 0, 1 << 70, 1.5, float("nan"), float("inf"), "", "x" * 9000, "\ud800"),
    *([], [[]], {}, {"a": None}, [1, "2"], [{"name": "default", "template": 5}]),
)


def run(trial: Trial) -> None:
    """Tries one directory after the other."""
    random = trial.random
    weights = safetensors_file({"a": [4, 4], "b": [8]})
    while trial.more():
        files: dict[str, bytes] = {"model.safetensors": weights}
        for name, value in (("config.json", CONFIG), ("tokenizer_config.json", TOKENIZER)):
            files[name] = _text(random, value)
        if random.random() < 0.3:
            files["model.safetensors.index.json"] = _text(random, INDEX)
            files["model-00001-of-00002.safetensors"] = files.pop("model.safetensors")
        if random.random() < 0.3:
            files["1_Pooling.config.json"] = _text(random, POOLING)
            files["modules.json"] = _text(random, {"0": [{"type": "sentence_transformers.models.Pooling"}]})
        if random.random() < 0.7:
            name = random.choice(list(files))
            files[name] = _changed(random, files[name])
        if random.random() < 0.5:
            shape = random.choice([*ODD, [1 << 40, 1 << 40], [-1], [0]])
            offsets = random.choice([*ODD, [0, 1 << 50], [8, 0], [0]])
            header = {"a": {"dtype": random.choice([*ODD, "F32"]), "shape": shape, "data_offsets": offsets}}
            head = json.dumps(header).encode()
            files["model.safetensors"] = random.choice([len(head), 1 << 60, 0]).to_bytes(8, "little") + head
        for old in trial.directory.iterdir():
            old.unlink()
        for name, data in files.items():
            (trial.directory / name).write_bytes(data)
        try:
            read_checkpoint(flat_files(trial.directory))
        except (ModelLoadFailed, Unsupported) as error:
            if not error.hint:
                raise AssertionError(f"no hint: {error}, for {files}") from error
        except Exception as error:
            raise AssertionError(f"{type(error).__name__}: {error}, for {files}") from error


def _text(random: numbers.Random, value: dict[str, Any]) -> bytes:
    """The object with at most two odd values, as JSON."""
    changed = dict(value)
    for _ in range(random.randrange(3)):
        changed[random.choice(list(changed))] = random.choice(ODD)
    return json.dumps(changed).encode()


def _changed(random: numbers.Random, data: bytes) -> bytes:
    at = random.randrange(len(data))
    match random.randrange(4):
        case 0:
            return data[:at]
        case 1:
            return data[:at] + bytes([random.randrange(256)]) + data[at + 1 :]
        case 2:
            return b"[" * 50_000 + data
        case _:
            return data[:at] + data[at:] * 2
