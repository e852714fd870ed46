"""The command lines that the two requirement documents print, typed as they stand there, each with what it gives.

Where the answer differs from the document's, the reason stands beside the case. What the documents show of T5 models
that answer needs the PyTorch engine and is not among them.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.command_line import COMMAND, Done
from tests.support.gguf_files import gguf_file, safetensors_file
from tests.support.hub_server import HubServer, hub_server
from tests.support.ollama_replay import OllamaReplay

HELLO = (
    'agent = Agent.builder():provider("candle"):model("tinyllama"):build(); print(agent:execute({text="hello"}).text)'
)
MISTRAL = "mistral-7b-instruct-v0.2.Q4_K_M.gguf"
TINYLLAMA = "tinyllama-1.1b-chat-v1.0.Q4_K_M.gguf"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    """The Hugging Face hub with the repositories that the documents name, holding small files."""
    with hub_server() as server:
        small = gguf_file()
        server.repositories["TheBloke/Mistral-7B-Instruct-v0.2-GGUF"] = {MISTRAL: small}
        server.repositories["TheBloke/TinyLlama-1.1B-Chat-v1.0-GGUF"] = {TINYLLAMA: small}
        server.repositories["google/flan-t5-small"] = {
            "config.json": json.dumps({"model_type": "t5", "architectures": ["T5ForConditionalGeneration"]}).encode(),
            "tokenizer.json": b"{}",
            "model.safetensors": safetensors_file({"shared.weight": [8, 4]}),
        }
        for name, value in server.environment().items():
            monkeypatch.setenv(name, value)
        yield server


@pytest.fixture
def ollama(monkeypatch: pytest.MonkeyPatch) -> Iterator[OllamaReplay]:
    """A real Ollama's answers; any pull succeeds."""
    with OllamaReplay("003-version", "033-tags-two", "050-ps-one", "174-pull-success", "038-show") as server:
        monkeypatch.setenv("OLLAMA_HOST", server.base_url)
        yield server


@pytest.fixture(autouse=True)
def shell(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder like the one that the documents' reader sits in, with `llmspell` on the path."""
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "llmspell").write_text(f'#!/bin/sh\nexec {shlex.join(COMMAND)} "$@"\n')
    (programs / "llmspell").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("COLUMNS", "100")
    (tmp_path / "script.lua").write_text("print('ran')\n")
    (tmp_path / "custom.toml").write_text("")


def typed(line: str) -> Done:
    """What a shell makes of the line."""
    done = subprocess.run(
        ["sh", "-c", line], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False
    )
    return Done(done.returncode, done.stdout, done.stderr)


def test_model_status_and_list_name_both_backends(hub: HubServer, ollama: OllamaReplay) -> None:
    status = typed("llmspell model status")
    assert status.status == 0
    assert [line.split()[:2] for line in status.out.splitlines()] == [["ollama", "running"], ["candle", "ready"]]
    typed("llmspell model pull candle/mistral:7b")
    listed = typed("llmspell model list")
    assert listed.status == 0
    assert {line.split()[-1] for line in listed.out.splitlines()} == {"ollama", "candle"}


@pytest.mark.parametrize(
    ("line", "out"),
    [
        ("llmspell model pull candle/mistral:7b", "✓ Downloaded: mistral:7b (GGUF)\n"),
        ("llmspell model pull mistral:7b@candle", "✓ Downloaded: mistral:7b (GGUF)\n"),
        ("llmspell -p candle model pull tinyllama@candle", "✓ Downloaded: tinyllama:Q4_K_M (GGUF)\n"),
        # The documents' first attempt, without a profile, failed. Nothing needs to be configured any more.
        ("llmspell model pull tinyllama@candle", "✓ Downloaded: tinyllama:Q4_K_M (GGUF)\n"),
    ],
)
def test_a_gguf_model_is_pulled(line: str, out: str, hub: HubServer) -> None:
    done = typed(line)
    assert (done.status, done.out) == (0, out), done.err


@pytest.mark.parametrize(
    "line",
    [
        "llmspell model pull flan-t5-small@candle",
        "RUST_LOG=llmspell_providers=info llmspell -p candle model pull flan-t5-small",
    ],
)
def test_a_t5_model_is_pulled_with_its_tokenizer(line: str, hub: HubServer) -> None:
    done = typed(line)
    assert (done.status, done.out.splitlines()[0]) == (0, "✓ Downloaded: google/flan-t5-small (Safetensors)"), done.err
    files = [each.split(" (")[0] for each in done.out.splitlines()[1:]]
    assert files == ["  - config.json", "  - tokenizer.json", "  - model.safetensors"]


@pytest.mark.parametrize(
    ("line", "asked"),
    [
        ("llmspell model pull ollama/llama3.1:8b", "llama3.1:8b"),
        ("llmspell model pull llama3.1:8b@ollama", "llama3.1:8b"),
        ("llmspell model pull phi3@ollama --force", "phi3"),
        ("llmspell model pull mistral:7b@ollama", "mistral:7b"),
    ],
)
def test_a_model_is_pulled_through_ollama(line: str, asked: str, ollama: OllamaReplay) -> None:
    done = typed(line)
    assert done.status == 0, done.err
    pulled = [request.body["model"] for request in ollama.asked if request.path == "/api/pull"]
    assert [name.removesuffix(":latest") for name in pulled] == [asked]


def test_a_pull_for_a_backend_that_a_configuration_lacks_says_how_to_get_it() -> None:
    done = typed("llmspell -p minimal model pull tinyllama@candle")
    assert (done.status, done.err) == (
        2,
        "Error: Backend 'candle' not configured. To use candle models:\n"
        " 1. Use the builtin profile: llmspell -p candle model pull tinyllama@candle\n"
        " 2. Or configure candle provider in your config file\n",
    )


def test_a_backend_that_does_not_exist_is_refused_with_those_that_do() -> None:
    done = typed("llmspell model pull test@invalid")
    assert (done.status, done.err) == (
        2,
        "Error: Backend 'invalid' not configured and no matching builtin profile found.\n"
        "Available backends: ollama, candle\n"
        "Check your model specification format: model:variant@backend\n"
        "Hint: llmspell model status shows what is configured\n",
    )


def test_the_help_of_pull_shows_where_models_are_found() -> None:
    done = typed("llmspell model pull --help")
    assert done.status == 0
    assert "    llmspell model available                   # List models from backend libraries\n" in done.out
    assert "https://ollama.com/library" in done.out
    assert "https://huggingface.co/models?pipeline_tag=text-generation" in done.out


@pytest.mark.parametrize(
    ("line", "backends"),
    [
        ("llmspell model available", {"ollama", "candle"}),
        ("llmspell model available --backend ollama", {"ollama"}),
        ("llmspell model available --backend candle", {"candle"}),
    ],
)
def test_models_that_could_be_pulled_are_listed(line: str, backends: set[str]) -> None:
    models = json.loads(typed(f"{line} --json").out)["models"]
    assert {model["backend"] for model in models} == backends
    shown = typed(line)
    assert shown.status == 0
    assert all(model["name"] in shown.out for model in models)


@pytest.mark.parametrize(
    ("line", "key", "value"),
    [
        ("llmspell -p minimal config show --format json", "default_engine", "lua"),
        ("llmspell -p rag-prod config show --format json", "rag.enabled", True),
        ("LLMSPELL_RAG_ENABLED=false llmspell -p rag-prod config show --format json", "rag.enabled", False),
    ],
)
def test_the_configuration_that_a_profile_gives_can_be_read_by_other_programs(
    line: str, key: str, value: object
) -> None:
    found = json.loads(typed(line).out)
    for name in key.split("."):
        found = found[name]
    assert found == value


def test_all_of_a_rag_profile_is_loaded_and_not_three_fields_of_it() -> None:
    def fields(table: object) -> int:
        return sum(fields(each) for each in table.values()) if isinstance(table, dict) else 1

    shown = json.loads(typed("llmspell -p rag-prod config show --format json").out)
    # The documents count 84; their schema had keys that nothing read.
    assert fields(shown["rag"]) >= 55


@pytest.mark.parametrize(
    "line",
    [
        "llmspell run script.lua",
        "llmspell -p ollama run script.lua",
        "llmspell -p candle run script.lua",
        "llmspell -p rag-prod run script.lua",
        "llmspell run script.lua -p rag-prod",
        "LLMSPELL_RAG_ENABLED=false llmspell -p rag-prod run script.lua",
    ],
)
def test_a_script_runs_with_each_profile(line: str) -> None:
    done = typed(line)
    assert (done.status, done.out) == (0, "ran\n"), done.err


def test_a_profile_beside_a_file_is_refused() -> None:
    done = typed("llmspell -p rag-dev -c custom.toml run script.lua")
    assert (done.status, done.err.splitlines()[0]) == (2, "Error: Cannot use both --profile and --config")


def test_a_file_is_found_without_being_named() -> None:
    Path("llmspell.toml").write_text('extends = "rag-dev"\n')
    assert json.loads(typed("llmspell config show --format json").out)["rag"]["vector_storage"]["dimensions"] == 384
    assert typed("llmspell run script.lua").out == "ran\n"


def test_an_unknown_profile_is_answered_with_those_that_exist() -> None:
    done = typed("llmspell -p unknown run script.lua")
    assert (done.status, done.err) == (
        3,
        "Error: Builtin profile 'unknown' not found.\n"
        "Available: minimal, development, ollama, candle, rag-development, rag-production, rag-performance, "
        "providers, state, sessions\n"
        "Hint: llmspell config list-profiles\n",
    )


def test_the_help_lists_all_profiles() -> None:
    done = typed("llmspell --help | grep -A14 'profile'")
    names = ["minimal", "development", "ollama", "candle", "rag-dev", "rag-prod", "rag-perf", "providers", "state"]
    listed = typed("llmspell config list-profiles").out
    for name in [*names, "sessions"]:
        assert f"  -p {name} " in done.out
        assert name in listed


def test_a_log_filter_of_the_documents_is_understood() -> None:
    done = typed("RUST_LOG=llmspell_providers=debug llmspell -p candle exec 'print(\"test\")'")
    assert (done.status, done.out) == (0, "test\n"), done.err


def test_an_agent_of_the_candle_backend_answers_on_the_processor(hub: HubServer, smollm2_path: Path) -> None:
    hub.repositories["TheBloke/TinyLlama-1.1B-Chat-v1.0-GGUF"] = {TINYLLAMA: smollm2_path.read_bytes()}
    assert typed("llmspell -p candle model pull tinyllama@candle").status == 0
    done = typed(f"CANDLE_DEVICE=cpu llmspell -p candle exec '{HELLO}'")
    assert done.status == 0, done.err
    assert done.out.strip()
