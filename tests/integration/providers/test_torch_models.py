"""Safetensors models from pull to reply, as a user has them: command line and scripts, embedded and connected."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from llmspell_protocol.client.events import Delta
from llmspell_protocol.client.sync import Client
from llmspell_protocol.errors import LlmspellError, ModelLoadFailed, Unsupported, WorkerCrashed
from tests.support.command_line import llmspell
from tests.support.kernels import KernelProcess
from tests.support.torch_models import TinyT5

pytestmark = [pytest.mark.engines, pytest.mark.slow]

ASKS = """
local agent = Agent.builder():model("t5@candle"):temperature(0):device("cpu"):build()
print(agent:execute("three one four").text)
"""
CRASH_DEADLINE_S = 60.0


@pytest.fixture(scope="module")
def stocked(tmp_path_factory: pytest.TempPathFactory, tiny_t5: TinyT5) -> Path:
    """A home with the small T5, called `t5`."""
    home = tmp_path_factory.mktemp("stocked") / "home"
    copy = home.parent / "t5"
    shutil.copytree(tiny_t5.single, copy)
    home.mkdir(mode=0o700)
    done = llmspell("-p", "candle", "model", "pull", copy.as_uri(), env={"LLMSPELL_HOME": str(home)})
    assert (done.status, done.out.splitlines()[0]) == (0, "✓ Downloaded: t5 (Safetensors)"), done.err
    return home


@pytest.fixture
def with_t5(home: Path, stocked: Path) -> Path:
    shutil.copytree(stocked, home, dirs_exist_ok=True)
    return home


@pytest.fixture
def running(with_t5: Path) -> Iterator[KernelProcess]:
    """A kernel over the stocked home."""
    kernel = KernelProcess(["--profile", "candle"])
    yield kernel
    kernel.stop()


@pytest.fixture(params=["embedded", "connected"])
def target(request: pytest.FixtureRequest, with_t5: Path) -> Iterator[list[str]]:
    """The words before a command: for a kernel inside the process, and for another one."""
    if request.param == "embedded":
        yield ["-p", "candle"]
        return
    kernel = KernelProcess(["--profile", "candle"])
    yield ["--connect", "auto"]
    kernel.stop()


def chat(model: str, text: str, **options: Any) -> dict[str, Any]:
    return {
        "action": "chat",
        "model": model,
        "messages": [{"role": "user", "content": text}],
        "options": {"temperature": 0, **options},
    }


def answer(client: Client, model: str, text: str, **fields: Any) -> str:
    content = client.request("model_request", {**chat(model, text), **fields}).result().content
    return str(content["message"]["content"])


def test_what_is_known_about_the_model_comes_from_its_files(target: list[str]) -> None:
    known = llmspell(*target, "model", "info", "t5", "--json").document
    assert (known["format"], known["quantization"], known["architecture"]) == ("safetensors", "F32", "t5")
    assert known["capabilities"] == ["chat"]
    assert (known["supports"]["num_beams"], known["supports"]["tools"]) == (True, False)
    listed = llmspell(*target, "model", "list", "-v").out
    assert listed.splitlines()[1].split()[:4] == ["t5", "candle", "safetensors", "F32"]
    status = llmspell(*target, "model", "status", "--backend", "candle", "--json").document
    assert {"xllamacpp", "torch"} <= set(status["candle"]["engines"])


def test_a_script_asks_the_model(target: list[str], tmp_path: Path) -> None:
    script = tmp_path / "ask.lua"
    script.write_text(ASKS)
    done = llmspell(*target, "run", str(script))
    assert (done.status, done.out) == (0, "trois un quatre\n"), done.err


@pytest.mark.parametrize("options", [(), ("--num-beams", "3")])
def test_the_command_line_asks_the_model(target: list[str], options: tuple[str, ...]) -> None:
    done = llmspell(*target, "chat", "t5", "--message", "nine zero", "--temperature", "0", *options)
    assert (done.status, done.out) == (0, "neuf zéro\n"), done.err


def test_a_kernel_loads_shows_and_unloads_it(running: KernelProcess) -> None:
    loaded = llmspell("model", "load", "t5", "--device", "cpu", "--json").document
    assert (loaded["engine"], loaded["device"], loaded["warnings"]) == ("torch", "cpu", [])
    assert loaded["memory_bytes"] == pytest.approx(loaded["estimated_bytes"], rel=0.25)
    _headings, line, *_ = llmspell("model", "ps").out.splitlines()
    assert line.split()[:4] == ["t5", "candle", "torch", "cpu"]
    assert llmspell("model", "unload", "t5").out.startswith("✓ Unloaded t5@candle (")
    assert llmspell("model", "ps").out == "No models loaded\n"


@pytest.mark.skipif(os.uname().sysname == "Darwin", reason="Metal is of this platform here")
def test_a_device_of_another_platform_is_the_processor_and_the_user_is_told(running: KernelProcess) -> None:
    done = llmspell("model", "load", "t5", "--device", "metal")
    assert done.status == 0
    assert done.out.startswith("✓ Loaded t5@candle on cpu")
    assert done.err.endswith("Warning: Metal requested but only available on macOS, using CPU\n")
    assert "[WARN] Metal requested but only available on macOS, using CPU request_id=" in llmspell("kernel", "logs").out


def test_what_auto_has_chosen_stands_in_the_log_word_for_word(running: KernelProcess) -> None:
    device = llmspell("model", "load", "t5", "--json").document["device"]
    text = {
        "cpu": "Auto-detected CPU device for Candle (CUDA unavailable)",
        "cuda:0": "Auto-detected CUDA device for Candle",
        "metal": "Auto-detected Metal device for Candle (Apple Silicon)",
    }[device]
    if os.uname().sysname == "Darwin":
        text = text.replace("CUDA unavailable", "Metal unavailable")
    assert f"[INFO] {text} request_id=" in llmspell("kernel", "logs").out


def _has_cuda() -> bool:
    try:
        import torch
    except ImportError:
        return False
    return bool(torch.cuda.is_available())


@pytest.mark.skipif(os.uname().sysname == "Darwin" or _has_cuda(), reason="needs a machine that could have CUDA")
def test_a_device_that_is_not_there_is_an_error_that_says_what_was_looked_for(with_t5: Path) -> None:
    done = llmspell("-p", "candle", "chat", "t5", "--message", "one", env={"CANDLE_DEVICE": "cuda:1"})
    assert done.status != 0
    assert "the engine looked for cuda:1 and found no such device" in done.err


@pytest.mark.skipif(os.uname().sysname == "Darwin" or _has_cuda(), reason="needs a machine that could have CUDA")
def test_the_device_of_an_agent_reaches_the_model_and_the_next_agent_gets_it_as_ever(target: list[str]) -> None:
    on_a_card = ASKS.replace("cpu", "cuda")
    code = f"print(pcall(function() {on_a_card} end)) {ASKS}"
    done = llmspell(*target, "exec", code)
    assert done.status == 0, done.err
    failed, answered = done.out.splitlines()
    assert failed.startswith("false\t")
    assert "the engine looked for cuda:0 and found no such device" in failed
    assert answered == "trois un quatre"


@pytest.mark.skipif(not _has_cuda(), reason="needs CUDA")
def test_the_model_moves_to_a_graphics_card_and_back(running: KernelProcess) -> None:
    with running.client() as client:
        for device, name in (("cpu", "cpu"), ("cuda", "cuda:0"), ("cpu", "cpu")):
            assert answer(client, "t5@candle", "three one four", device=device) == "trois un quatre"
            [loaded] = client.request("model_request", {"action": "ps"}).result().content["models"]
            assert loaded["device"] == name


def test_a_model_that_is_gguf_answers_beside_it(running: KernelProcess, smollm2_path: Path) -> None:
    with running.client() as client:
        client.request("model_request", {"action": "pull", "model": f"{smollm2_path.as_uri()}@candle"}).result()
        listed = client.request("model_request", {"action": "list"}).result().content["models"]
        [gguf] = [one["id"] for one in listed if one["format"] == "gguf"]
        pending = client.request("model_request", chat(f"{gguf}@candle", "Tell me a story.", max_tokens=200))
        first = next(event for event in pending if isinstance(event, Delta))
        assert first.content["text"]
        assert answer(client, "t5@candle", "five six") == "cinq six"
        assert pending.result().content["usage"]["completion_tokens"] > 1
        engines = [
            one["engine"] for one in client.request("model_request", {"action": "ps"}).result().content["models"]
        ]
        assert sorted(engines) == ["torch", "xllamacpp"]


def test_a_worker_that_dies_in_mid_stream_is_told_and_the_next_request_loads_the_model_again(
    running: KernelProcess, smollm2_safetensors: Path
) -> None:
    with running.client() as client:
        pull = {"action": "pull", "model": f"{smollm2_safetensors.as_uri()}@candle"}
        name = client.request("model_request", pull).result().content["model_id"] + "@candle"
        pending = client.request("model_request", chat(name, "Count to a thousand.", max_tokens=1000))
        next(event for event in pending if isinstance(event, Delta))
        [loaded] = client.request("model_request", {"action": "ps"}).result().content["models"]
        os.kill(loaded["pid"], signal.SIGKILL)
        with pytest.raises(WorkerCrashed, match="was ended by SIGKILL"):
            pending.result(CRASH_DEADLINE_S)
        assert client.request("model_request", chat(name, "Hi!", max_tokens=4)).result().content["message"]["content"]


def _note_size(file: Path) -> None:
    """What the manifest says of a file's size becomes true again: as if it had been pulled so."""
    manifest = file.parent / "manifest.json"
    known = json.loads(manifest.read_text())
    for entry in known["files"]:
        if entry["name"] == file.name:
            entry["size_bytes"] = file.stat().st_size
    manifest.write_text(json.dumps(known))


def _installed(home: Path) -> Path:
    """The directory of the installed model."""
    return next(home.glob("models/candle/**/config.json")).parent


def _refused(**env: str) -> LlmspellError:
    kernel = KernelProcess(["--profile", "candle"], env=env)
    try:
        with kernel.client() as client, pytest.raises(LlmspellError) as caught:
            answer(client, "t5@candle", "one")
    finally:
        kernel.stop()
    return caught.value


def test_weights_that_were_damaged_after_the_pull_are_told_with_the_way_out(with_t5: Path) -> None:
    weights = _installed(with_t5) / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[20:40] = b"\xff" * 20
    weights.unlink()
    weights.write_bytes(content)
    error = _refused()
    assert isinstance(error, ModelLoadFailed)
    assert "'model.safetensors' is damaged" in error.message
    assert error.hint == "pull it again with --force, or choose another model"


def test_code_of_a_repository_is_never_run(with_t5: Path, tmp_path: Path) -> None:
    """The architecture is unknown, and the configuration says where code for it is."""
    config = _installed(with_t5) / "config.json"
    described = json.loads(config.read_text())
    described.update(model_type="mine", auto_map={"AutoConfig": "code.Mine", "AutoModelForSeq2SeqLM": "code.Mine"})
    config.unlink()
    config.write_text(json.dumps(described))
    _note_size(config)
    trace = tmp_path / "was-run"
    (config.parent / "code.py").write_text(f"open({str(trace)!r}, 'w')\nclass Mine: pass\n")
    error = _refused()
    assert isinstance(error, Unsupported)
    assert "needs code of the model's repository, which is never run" in error.message
    assert not trace.exists()
