"""Safetensors models on a machine without PyTorch, and files that are no such models: errors that say what to do."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from llmspell_protocol.extras import install_command
from tests.support.command_line import llmspell
from tests.support.gguf_files import safetensors_file
from tests.support.kernels import KernelProcess

CONFIG = {"model_type": "t5", "architectures": ["T5ForConditionalGeneration"], "d_model": 8, "num_layers": 1}
NOT_INSTALLED = "the engine torch is not installed (No module named 'torch'); safetensors models such as small need it"


@pytest.fixture
def without_torch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """PyTorch cannot be imported, whether it is installed or not."""
    modules = tmp_path / "modules"
    modules.mkdir()
    (modules / "torch.py").write_text("raise ModuleNotFoundError(\"No module named 'torch'\", name='torch')\n")
    behind = os.environ.get("PYTHONPATH")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, (str(modules), behind))))


def _directory(tmp_path: Path, weights: bytes | None = None) -> Path:
    directory = tmp_path / "small"
    directory.mkdir()
    (directory / "config.json").write_text(json.dumps(CONFIG))
    (directory / "tokenizer.json").write_text("{}")
    content = safetensors_file({"shared.weight": [4, 8]}) if weights is None else weights
    (directory / "model.safetensors").write_bytes(content)
    return directory


def _pulled(directory: Path) -> None:
    done = llmspell("-p", "candle", "model", "pull", directory.as_uri())
    assert done.status == 0, done.err


@pytest.mark.usefixtures("home", "without_torch")
@pytest.mark.parametrize("mode", ["embedded", "connected"])
def test_a_safetensors_model_without_pytorch_says_how_to_install_it(tmp_path: Path, mode: str) -> None:
    _pulled(_directory(tmp_path))
    asked = ("chat", "small", "--message", "hi")
    if mode == "embedded":
        done = llmspell("-p", "candle", *asked)
    else:
        kernel = KernelProcess(["--profile", "candle"])
        try:
            done = llmspell("--connect", "auto", *asked)
        finally:
            kernel.stop()
    assert (done.status, done.out) == (2, "")
    assert done.err == f"Error: {NOT_INSTALLED}\nHint: {install_command('torch')}\n"


@pytest.mark.usefixtures("home", "without_torch")
def test_what_a_model_cannot_do_is_refused_with_a_way_out_before_anything_is_loaded(tmp_path: Path) -> None:
    directory = _directory(tmp_path)
    _pulled(directory)
    schema = tmp_path / "schema.json"
    schema.write_text("{}")
    done = llmspell("-p", "candle", "chat", "small", "--message", "hi", "--schema", str(schema))
    assert (done.status, done.out) == (2, "")
    assert done.err == (
        "Error: candle can't do 'schema': the engine torch lacks it\n"
        "Hint: use a GGUF model, which candle holds to a schema\n"
    )
    encoder = directory.rename(tmp_path / "encoder")
    (encoder / "config.json").write_text(json.dumps({**CONFIG, "architectures": ["T5EncoderModel"]}))
    _pulled(encoder)
    done = llmspell("-p", "candle", "chat", "encoder", "--message", "hi")
    assert (done.status, done.out) == (2, "")
    assert done.err.startswith("Error: encoder makes embeddings and does not chat\nHint: llmspell embed")


@pytest.mark.slow
@pytest.mark.usefixtures("home", "without_torch")
def test_gguf_models_go_on_without_pytorch(tmp_path: Path, smollm2_path: Path) -> None:
    _pulled(_directory(tmp_path))
    assert llmspell("-p", "candle", "model", "pull", smollm2_path.as_uri()).status == 0
    listed = llmspell("-p", "candle", "model", "list", "--json").document["models"]
    [name] = [one["id"] for one in listed if one["format"] == "gguf"]
    done = llmspell("-p", "candle", "chat", name, "--message", "Say hi.", "--max-tokens", "4")
    assert done.status == 0, done.err
    assert done.out.strip()


@pytest.mark.usefixtures("home")
def test_weights_that_may_run_code_are_refused_with_a_hint(tmp_path: Path) -> None:
    directory = _directory(tmp_path)
    (directory / "model.safetensors").rename(directory / "pytorch_model.bin")
    done = llmspell("-p", "candle", "model", "pull", directory.as_uri())
    assert done.status != 0
    assert "has weights that may run code when they are loaded (pytorch_model.bin), and no safetensors" in done.err
    assert "Hint: convert it to safetensors or GGUF, or choose a repository that has them" in done.err


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda weights: weights[:-8], "'model.safetensors' is truncated: it has"),
        (lambda weights: weights[:30], "'model.safetensors' is truncated: it ends inside its header"),
        (lambda weights: weights.replace(b'"shape"', b'"shape '), "'model.safetensors' is damaged"),
        (lambda weights: b"PK\3\4\x14\0\0\0" + weights, "'model.safetensors' is not a safetensors file"),
    ],
)
def test_damaged_weights_are_refused_by_the_pull_and_nothing_of_them_stays(
    tmp_path: Path, damage: Callable[[bytes], bytes], says: str
) -> None:
    directory = _directory(tmp_path, damage(safetensors_file({"shared.weight": [4, 8]})))
    done = llmspell("-p", "candle", "model", "pull", directory.as_uri())
    assert done.status != 0
    assert says in done.err
    assert llmspell("-p", "candle", "model", "list").out == "No local models found\n"


@pytest.mark.usefixtures("home")
def test_a_configuration_that_names_no_architecture_is_refused(tmp_path: Path) -> None:
    directory = _directory(tmp_path)
    (directory / "config.json").write_text("{}")
    done = llmspell("-p", "candle", "model", "pull", directory.as_uri())
    assert done.status != 0
    assert "'config.json' names no model_type" in done.err


@pytest.mark.usefixtures("home")
def test_a_word_that_is_no_device_is_refused_before_anything_is_loaded(tmp_path: Path) -> None:
    _pulled(_directory(tmp_path))
    kernel = KernelProcess(["--profile", "candle"])
    try:
        done = llmspell("model", "load", "small", "--device", "tpu")
    finally:
        kernel.stop()
    assert (done.status, done.out) == (2, "")
    assert "device: 'tpu' is not one of auto, cpu, cuda, cuda:N, metal" in done.err
