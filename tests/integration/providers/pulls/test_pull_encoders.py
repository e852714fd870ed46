"""Sentence encoders: what says how they make vectors comes with the weights, from the hub and from a directory."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

from llmspell_protocol.errors import Unsupported
from llmspell_providers.library.store import Store
from llmspell_providers.pulls.pull import Puller
from tests.support.gguf_files import safetensors_file
from tests.support.hub_server import HubServer
from tests.support.pulling import fails, leftovers, pull

MODULES = [
    {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
    {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
]
DENSE = {"idx": 2, "name": "2", "path": "2_Dense", "type": "sentence_transformers.models.Dense"}
INSTALLED = [
    "config.json",
    "modules.json",
    "sentence_bert_config.json",
    "1_Pooling.config.json",
    "model.safetensors",
]


def _files(modules: list[dict[str, object]]) -> dict[str, bytes]:
    config = {"model_type": "bert", "architectures": ["BertModel"], "hidden_size": 64, "max_position_embeddings": 512}
    return {
        "README.md": b"",
        "config.json": json.dumps(config).encode(),
        "modules.json": json.dumps(modules).encode(),
        "sentence_bert_config.json": b'{"max_seq_length": 256, "do_lower_case": false}',
        "1_Pooling/config.json": b'{"pooling_mode_cls_token": true}',
        "onnx/config.json": b"{}",
        "data_config.json": b"{}",
        "model.safetensors": safetensors_file({"embeddings.weight": [10, 64]}),
    }


def test_what_says_how_a_text_becomes_a_vector_comes_from_the_hub(
    puller_of: Callable[..., Puller], store: Store, server: HubServer
) -> None:
    server.repositories["org/encoder"] = _files(MODULES)

    result = asyncio.run(pull(puller_of(), "hf.co/org/encoder")).result

    assert [file.name for file in result.files] == INSTALLED
    (manifest,) = store.list()
    assert (manifest.pooling, manifest.capabilities, manifest.context_length) == ("cls", ("embed",), 256)
    assert store.path(manifest).name == "model.safetensors"


def test_a_directory_with_its_folders_is_imported_and_so_is_what_became_of_it(
    puller_of: Callable[..., Puller], store: Store, tmp_path: Path
) -> None:
    directory = tmp_path / "encoder"
    for name, content in _files(MODULES).items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_bytes(content)

    first = asyncio.run(pull(puller_of(), f"file://{directory}")).result
    assert [file.name for file in first.files] == INSTALLED
    (manifest,) = store.list()
    again = store.path(manifest).parent.rename(tmp_path / "again")
    second = asyncio.run(pull(puller_of(), f"file://{again}")).result

    assert [file.name for file in second.files] == INSTALLED
    (imported,) = store.list()
    assert (imported.files, imported.pooling) == (manifest.files, "cls")


def test_an_encoder_that_wants_more_than_pooling_is_refused_and_nothing_stays(
    puller_of: Callable[..., Puller], store: Store, server: HubServer
) -> None:
    server.repositories["org/dense"] = _files([*MODULES, DENSE])

    error = asyncio.run(fails(puller_of(), "hf.co/org/dense", Unsupported))

    assert "'Dense'" in error.message
    assert store.list() == []
    assert leftovers(store) == []
