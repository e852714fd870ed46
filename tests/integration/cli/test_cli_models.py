"""`model …` and `chat` with a real model: pulled, looked at, talked to, interrupted, removed, in both modes."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.command_line import AtTerminal, Running, llmspell
from tests.support.gguf_files import gguf_file
from tests.support.hub_server import hub_server
from tests.support.kernels import KernelProcess

MODEL = "SmolLM2-135M-Instruct.Q4_1"
LONG_PROMPT = "the quick brown fox jumps over the lazy dog and " * 600


@pytest.fixture(scope="module")
def stocked_home(tmp_path_factory: pytest.TempPathFactory, smollm2_path: Path) -> Path:
    """A home in which the small model is installed; tests only read it."""
    directory = tmp_path_factory.mktemp("stocked")
    done = llmspell("-p", "candle", "model", "pull", smollm2_path.as_uri(), env={"LLMSPELL_HOME": str(directory)})
    assert done.status == 0, done.err
    return directory


@pytest.fixture
def stocked(home: Path, stocked_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The installed model, with the candle profile in force."""
    monkeypatch.setenv("LLMSPELL_HOME", str(stocked_home))


@pytest.fixture(params=["embedded", "connected"])
def target(request: pytest.FixtureRequest, stocked: None) -> Iterator[list[str]]:
    """The words that choose the mode."""
    if request.param == "embedded":
        yield ["-p", "candle"]
        return
    process = KernelProcess(["--profile", "candle"])
    yield ["--connect", str(process.started["connection_file"])]
    process.stop()


@pytest.mark.slow
def test_a_pull_shows_its_progress_and_a_second_one_says_that_it_is_there(home: Path, smollm2_path: Path) -> None:
    words = ["-p", "candle", "model", "pull", smollm2_path.as_uri()]
    first = llmspell(*words)
    assert (first.status, first.out) == (0, f"✓ Downloaded: {MODEL} (GGUF)\n")
    assert first.err.splitlines()[-1].endswith("complete")
    second = llmspell(*words)
    assert (second.status, second.out, second.err) == (0, f"✓ Already present: {MODEL} (GGUF)\n", "")
    document = llmspell(*words, "--json").document
    assert set(document) >= {
        *("status", "message", "model_id", "backend", "download_status", "percent_complete", "bytes_downloaded"),
        *("bytes_total", "resumed_from", "sha256", "path", "format", "source", "files"),
    }


@pytest.mark.slow
def test_installed_models_are_listed_and_described(target: list[str]) -> None:
    assert llmspell(*target, "model", "list").out == f"{MODEL}  candle\n"
    headings, line = llmspell(*target, "model", "list", "-v").out.splitlines()
    assert headings.split() == ["NAME", "BACKEND", "FORMAT", "QUANT", "SIZE", "MODIFIED", "LOADED"]
    assert line.split()[1:6] == ["candle", "gguf", "Q4_1", "98.4", "MB"]
    rows = dict(row.split(":", 1) for row in llmspell(*target, "model", "info", MODEL).out.splitlines())
    assert list(rows) == [
        *("Model", "Backend", "Format", "Architecture", "Parameters", "Context", "Size"),
        *("Chat template", "Capabilities", "Operations", "Requests", "Replies", "Cannot", "Loaded", "License", "Path"),
    ]
    assert {"pull", "tokenize"} <= set(rows["Operations"].strip().split(", "))
    assert {"raw", "schema"} <= set(rows["Requests"].strip().split(", "))
    assert {"streaming", "prefill"} <= set(rows["Replies"].strip().split(", "))
    assert rows["Cannot"].strip() == "rerank, tools, tool_choice, images, think, num_beams, truncate"
    document = llmspell(*target, "model", "info", MODEL, "--format", "json").document
    assert set(document) == {
        *("owner", "mode", "kernel"),
        *("id", "backend", "size_bytes", "format", "quantization", "parameter_count", "family", "architecture"),
        *("context_length", "embedding_length", "chat_template", "capabilities", "license", "source", "path"),
        *("sha256", "modified_at", "loaded", "supports", "embed_tokens", "prefix_query", "prefix_passage"),
    }
    assert [word for word, has in document["supports"].items() if not has] == [
        *("rerank", "tools", "tool_choice", "images", "think", "num_beams", "truncate")
    ]
    assert document["supports"]["temperature"] is True
    assert llmspell(*target, "model", "verify", MODEL).out == f"✓ {MODEL}: 1 file ok\n"


@pytest.mark.slow
@pytest.mark.parametrize("columns", [60, 200])
def test_tables_at_a_terminal_fit_its_width(columns: int, stocked: None) -> None:
    for words in (["model", "list", "-v"], ["model", "available"], ["model", "status"]):
        shown = AtTerminal(["-p", "candle", "--output", "pretty", "--no-color", *words], columns=columns)
        assert shown.end() == 0
        lines = shown.text.splitlines()
        assert max(len(line.rstrip()) for line in lines if "://" not in line) <= columns
        assert "candle" in "".join(lines).replace(" ", "")


@pytest.mark.slow
def test_a_real_model_keeps_to_fields_and_says_that_it_cannot_think(target: list[str]) -> None:
    words = [*target, "chat", "-m", MODEL, "Invent a dog.", "-o", "temperature", "0", "-o", "max_tokens", "200"]
    done = llmspell(*words, "--schema", "name, age int, good bool")
    dog = json.loads(done.out)
    assert [type(dog[key]) for key in ("name", "age", "good")] == [str, int, bool]
    refused = llmspell(*words, "--think", "--json")
    assert (refused.status, refused.error["code"], refused.error["details"]["operation"]) == (2, "unsupported", "think")


@pytest.mark.slow
def test_a_real_model_answers(target: list[str]) -> None:
    words = [*target, "chat", MODEL, "--message", "Say hi.", "--temperature", "0", "--max-tokens", "8"]
    text = llmspell(*words)
    assert (text.status, text.err) == (0, "[cut at 8 tokens; longer: --max-tokens 16]\n")
    events = llmspell(*words, "--json").events
    assert events[-1]["message"]["content"].strip() == text.out.strip()
    assert events[-1]["usage"]["prompt_tokens"] > 10
    assert len(events) > 2


@pytest.mark.slow
def test_a_prompt_that_is_too_long_says_both_numbers(target: list[str]) -> None:
    done = llmspell(*target, "--json", "chat", MODEL, stdin=LONG_PROMPT * 3)
    assert (done.status, done.error["code"]) == (1, "context_length_exceeded")
    assert done.error["details"]["prompt_tokens"] > done.error["details"]["limit"] > 0


@pytest.mark.slow
def test_ctrl_c_while_the_model_writes(target: list[str]) -> None:
    running = Running(*target, "chat", MODEL, "--message", "Count to a thousand.", "--max-tokens", "2000", "--json")
    running.wait_for('"delta"')
    running.interrupt()
    done = running.done()
    assert (done.status, done.error["code"]) == (130, "cancelled")
    if "--connect" in target:
        (loaded,) = llmspell(*target, "model", "ps", "--json").document["models"]
        assert (loaded["busy_slots"], loaded["queue"]) == (0, 0)


@pytest.mark.slow
def test_ctrl_c_while_the_model_loads(target: list[str]) -> None:
    if "--connect" in target:
        llmspell(*target, "model", "unload", MODEL)
    running = Running(*target, "chat", MODEL, "--message", "hi", "--json")
    running.wait_for('"loading"', stream="err")
    running.interrupt()
    done = running.done()
    assert (done.status, done.error["code"]) == (130, "cancelled")
    if "--connect" in target:
        assert llmspell(*target, "model", "ps", "--json").document["models"] == []


@pytest.mark.slow
def test_ctrl_c_while_the_model_reads(target: list[str]) -> None:
    running = Running(*target, "chat", MODEL, "--json", stdin=LONG_PROMPT[:6000])
    running.wait_for('"prefill"', stream="err")
    running.interrupt()
    done = running.done()
    assert (done.status, done.error["code"]) == (130, "cancelled")
    assert done.out == ""


@pytest.mark.slow
def test_ctrl_c_in_a_script_that_waits_for_a_model(target: list[str]) -> None:
    agent = f"Agent.create{{model = '{MODEL}@candle', max_tokens = 2000}}"
    code = f"{agent}:invokeStream('Count to a thousand.', function() print('piece') end) print('end')"
    running = Running(*target, "exec", code)
    running.wait_for("piece\n")
    running.interrupt()
    done = running.done()
    assert done.status == 130
    assert "end" not in done.out


@pytest.mark.slow
def test_a_kernel_keeps_what_it_loads(stocked: None) -> None:
    kernel = KernelProcess(["--profile", "candle"])
    try:
        loaded = llmspell("model", "load", MODEL, "--keep-alive", "5m").out
        assert loaded.startswith(f"✓ Loaded {MODEL}@candle on cpu in ")
        headings, line, memory, why, context = llmspell("model", "ps").out.splitlines()
        assert headings.split() == ["MODEL", "BACKEND", "ENGINE", "DEVICE", "MEMORY", "SLOTS", "QUEUE", "UNTIL"]
        assert line.split()[:4] == [MODEL, "candle", "xllamacpp", "cpu"]
        assert re.search(r" (4m 5\ds|5m 0s) \(idle\)$", line)
        assert memory.startswith("Memory: ")
        assert why.startswith(f"{MODEL}: idle, unloads in ")
        assert context == f"{MODEL}: context of 8192 tokens (all that the model was trained for)"
        assert f"1 loaded: {MODEL}" in llmspell("--connect", "auto", "model", "status").out
        unloaded = llmspell("model", "unload", MODEL).out
        assert unloaded.startswith(f"✓ Unloaded {MODEL}@candle (")
        assert llmspell("model", "unload", MODEL).out == f"{MODEL} is not loaded\n"
        assert llmspell("model", "ps").out == "No models loaded\n"
    finally:
        kernel.stop()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("answer", "status", "shown"),
    [
        ("y\n", 0, "Model removed successfully\n"),
        ("n\n", 0, "Cancelled\n"),
        ("", 1, "\n"),
    ],
)
def test_removing_asks_first(answer: str, status: int, shown: str, home: Path, smollm2_path: Path) -> None:
    assert llmspell("-p", "candle", "model", "pull", smollm2_path.as_uri()).status == 0
    done = llmspell("-p", "candle", "model", "remove", MODEL, stdin=answer)
    assert (done.status, done.out) == (status, f"Remove model '{MODEL}'? [y/N]: {shown}")
    assert done.err == ("" if status == 0 else "Cancelled\nHint: use --yes\n")
    left = llmspell("-p", "candle", "model", "list").out
    assert left == ("No local models found\n" if answer == "y\n" else f"{MODEL}  candle\n")


def test_what_is_not_installed_is_not_asked_about(home: Path) -> None:
    done = llmspell("-p", "candle", "model", "remove", "nosuch", stdin="y\n")
    assert (done.status, done.out) == (3, "")


def test_a_backend_that_is_not_configured_shows_the_way(home: Path) -> None:
    done = llmspell("-p", "minimal", "model", "pull", "tinyllama@candle")
    assert (done.status, done.err) == (
        2,
        "Error: Backend 'candle' not configured. To use candle models:\n"
        " 1. Use the builtin profile: llmspell -p candle model pull tinyllama@candle\n"
        " 2. Or configure candle provider in your config file\n",
    )
    done = llmspell("model", "pull", "x@invalid")
    assert (done.status, done.err) == (
        2,
        "Error: Backend 'invalid' not configured and no matching builtin profile found.\n"
        "Available backends: ollama, candle\n"
        "Check your model specification format: model:variant@backend\n"
        "Hint: llmspell model status shows what is configured\n",
    )


def test_an_unknown_model_lists_what_there_is(home: Path) -> None:
    done = llmspell("-p", "candle", "model", "pull", "nosuch")
    assert done.status == 3
    lines = done.err.splitlines()
    assert lines[0] == "Error: Model 'nosuch' not found."
    assert lines[1].startswith("GGUF models: smollm2:135m, qwen3:0.6b, ")
    assert lines[2].startswith("Encoder models: multilingual-e5-small")
    assert lines[3].startswith("T5 models: flan-t5-small, flan-t5-base, flan-t5-large")
    assert lines[4].startswith("Hint: llmspell model pull nosuch@ollama")


@pytest.mark.parametrize(("content", "word"), [(b"not a model at all" * 100, "GGUF"), (b"GGUF\x03\0\0\0", "")])
def test_a_file_that_is_no_whole_model_is_refused(content: bytes, word: str, home: Path, tmp_path: Path) -> None:
    path = tmp_path / "broken.gguf"
    path.write_bytes(content)
    done = llmspell("-p", "candle", "model", "pull", path.as_uri())
    assert done.status == 1
    assert done.err.splitlines()[-1].startswith(("Error: ", "Hint: "))
    assert word in done.err
    assert llmspell("-p", "candle", "model", "list").out == "No local models found\n"


@pytest.mark.parametrize("mode", ["embedded", "connected"])
def test_ctrl_c_in_a_pull_keeps_what_can_be_resumed(mode: str, home: Path, tmp_path: Path) -> None:
    path = tmp_path / "source.gguf"
    path.write_bytes(gguf_file())
    data = path.read_bytes() + os.urandom(3_000_000)
    with hub_server() as server:
        server.files["big.gguf"] = data
        manner = server.manner("big.gguf")
        manner.hold_at = 2_000_000
        kernel = KernelProcess(["--profile", "candle"], env=server.environment()) if mode == "connected" else None
        words = ["--connect", str(kernel.started["connection_file"])] if kernel else ["-p", "candle"]
        try:
            pull = Running(*words, "model", "pull", f"{server.url}/files/big.gguf", "--json", env=server.environment())
            pull.wait_for('"bytes_downloaded": 2000000', stream="err")
            pull.interrupt()
            done = pull.done()
            assert (done.status, done.error["code"]) == (130, "cancelled")
            manner.release.set()
            manner.hold_at = None
            again = llmspell(*words, "model", "pull", f"{server.url}/files/big.gguf", env=server.environment())
            assert "Resuming at " in again.err
            assert again.status == 0
        finally:
            if kernel is not None:
                kernel.stop()


def test_a_backend_that_is_down_hides_no_other(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_HOST", "http://127.0.0.1:9")
    done = llmspell("model", "list")
    assert (done.status, done.out.splitlines()[0]) == (0, "No local models found")
    assert done.err.startswith("Warning: ollama: ")
    assert llmspell("model", "list", "--backend", "ollama").status == 4
    status = llmspell("model", "status", "--backend", "ollama")
    assert (status.status, status.out.split()[:3]) == (4, ["ollama", "not", "running"])
    assert llmspell("-p", "minimal", "model", "status", "--backend", "candle").status == 2


_SMALL = {"LLMSPELL_MODELS__MEMORY_BUDGET_BYTES": "1500000000"}
"""A machine with little memory."""


def test_available_comes_from_the_catalog(home: Path) -> None:
    lines = llmspell("-p", "candle", "model", "available").out.splitlines()
    assert lines[0].split() == [
        *("NAME", "BACKEND", "PARAMS", "SIZE", "MEMORY", "FITS", "INSTALLED", "CAN", "DESCRIPTION"),
    ]
    assert any(line.split()[:5] == ["smollm2:135m", "candle", "135M", "98", "MB"] for line in lines)
    document = json.loads(llmspell("model", "available", "--recommended", "--json").out)
    assert all(model["recommended"] for model in document["models"])
    assert document["count"] == len(document["models"])
    fitting = llmspell("model", "available", "--fits", "--json", env=_SMALL)
    assert {"smollm2:135m", "qwen3:0.6b"} <= {model["name"] for model in fitting.document["models"]}
    assert "qwen3:4b" not in {model["name"] for model in fitting.document["models"]}
    assert fitting.document["budget_bytes"] == 1_500_000_000


@pytest.mark.parametrize("mode", ["embedded", "connected"])
def test_a_model_file_that_has_changed_is_told_with_how_to_mend_it(mode: str, home: Path, tmp_path: Path) -> None:
    (tmp_path / "tiny.gguf").write_bytes(gguf_file())
    pulled = llmspell("-p", "candle", "model", "pull", f"file://{tmp_path}/tiny.gguf", "--json").document
    kernel = KernelProcess(["--profile", "candle"]) if mode == "connected" else None
    target = ["--connect", str(kernel.started["connection_file"])] if kernel else ["-p", "candle"]
    try:
        assert llmspell(*target, "model", "status").out.splitlines()[0].split(maxsplit=3)[:3] == [
            *("candle", "ready", "cpu"),
        ]
        assert llmspell(*target, "model", "verify", "tiny").out == "✓ tiny: 1 file ok\n"
        with open(pulled["path"], "r+b") as file:
            file.seek(100)
            file.write(b"changed")
        done = llmspell(*target, "model", "verify", "--all")
        assert (done.status, done.out) == (1, "✗ tiny: tiny.gguf checksum mismatch\n")
        assert done.err == "Hint: llmspell model pull tiny@candle --force\n"
        (checked,) = llmspell(*target, "model", "verify", "tiny", "--json").document["models"]
        assert (checked["ok"], checked["files"][0]["ok"]) == (False, False)
    finally:
        if kernel is not None:
            kernel.stop()
