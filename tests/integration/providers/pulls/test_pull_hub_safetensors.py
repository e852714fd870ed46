"""Pulls of repositories of safetensors: which files of a repository make a model."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

from llmspell_protocol.errors import (
    InvalidRequest,
)
from llmspell_providers.library.store import Store
from llmspell_providers.pulls.pull import Puller
from tests.support.gguf_files import safetensors_file
from tests.support.hub_server import HubServer
from tests.support.pulling import MODEL, fails, pull


class TestSafetensors:
    """Repositories that hold the same weights in many ways."""

    FILES = dict.fromkeys(
        ("pytorch_model.bin", "tf_model.h5", "flax_model.msgpack", "rust_model.ot", "onnx/model.onnx"), b"other weights"
    ) | {
        "config.json": b'{"model_type": "t5", "d_model": 64}',
        "tokenizer.json": b"{}",
        "spiece.model": b"pieces",
        "README.md": b"# T5",
        "model.safetensors": safetensors_file({"shared.weight": [100, 64]}),
    }

    def test_a_name_of_the_catalog_takes_only_the_files_that_are_needed(
        self, store: Store, server: HubServer, tmp_path: Path
    ) -> None:
        server.repositories["google/flan-t5-small"] = self.FILES
        puller = Puller(store, tmp_path / "pull.log", environment=server.environment())

        result = asyncio.run(pull(puller, "flan-t5-small")).result

        needed = ["config.json", "spiece.model", "tokenizer.json", "model.safetensors"]
        assert [file.name for file in result.files] == needed
        fetched = {one.path.rpartition("/")[2] for one in server.asked if one.path.startswith(("/cdn/", "/google/"))}
        assert fetched == set(needed)

    def test_sharded_weights_come_whole_with_their_index(
        self, puller_of: Callable[..., Puller], store: Store, server: HubServer
    ) -> None:
        shards = {
            f"model-0000{number}-of-00002.safetensors": safetensors_file({f"layer.{number}": [64, 64]})
            for number in (1, 2)
        }
        server.repositories["org/large"] = {
            "config.json": self.FILES["config.json"],
            "model.safetensors.index.json": json.dumps({"weight_map": {name: name for name in shards}}).encode(),
            **shards,
            "pytorch_model-00001-of-00002.bin": b"pickle",
        }

        result = asyncio.run(pull(puller_of(), "hf.co/org/large")).result

        assert [file.name for file in result.files] == ["config.json", *shards, "model.safetensors.index.json"]
        (manifest,) = store.list()
        assert store.verify(manifest).ok is True

    def test_gguf_comes_first_where_both_are_there_which_is_said_and_can_be_changed(
        self, puller_of: Callable[..., Puller], server: HubServer
    ) -> None:
        server.repositories["org/both"] = {**self.FILES, "m-Q4_K_M.gguf": MODEL}

        first = asyncio.run(pull(puller_of(), "hf.co/org/both"))
        assert first.result.format == "gguf"
        reasons = [one.reason for one in first.progress if one.reason]
        assert reasons == ["GGUF before safetensors (hf.co/org/both:safetensors)"]
        second = asyncio.run(pull(puller_of(), "hf.co/org/both:safetensors")).result
        assert (second.format, second.model_id) == ("safetensors", "org/both:safetensors")

    def test_a_quantization_of_them_does_not_exist(self, puller_of: Callable[..., Puller], server: HubServer) -> None:
        server.repositories["org/t5"] = self.FILES
        error = asyncio.run(fails(puller_of(), "hf.co/org/t5:Q4_K_M", InvalidRequest))
        assert "org/t5 has no Q4_K_M: its weights are safetensors" in error.message
