"""Servers of the configuration on the command line: their models are listed, and what is wrong with them is told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from llmspell_protocol.client.sync import Client
from tests.support.command_line import llmspell
from tests.support.kernels import KernelProcess
from tests.support.model_server import ModelServer, said

DEAD = "http://127.0.0.1:9/v1"


@pytest.fixture(autouse=True)
def _no_ollama(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No Ollama, and no program of that name; no keys of the developer's own."""
    monkeypatch.setenv("PATH", "/nonexistent")
    for name in ("OLLAMA_HOST", "OPENAI_API_KEY", "GROQ_API_KEY", "HTTPS_PROXY", "https_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with ModelServer(said("hello"), models=("llama3:8b", "other")) as running:
        yield running


def _configure(**urls: str) -> None:
    tables = (f"[providers.{name}]\nprovider_type = 'openai'\nbase_url = '{url}'\n" for name, url in urls.items())
    Path("llmspell.toml").write_text("".join(tables))


def test_the_models_of_a_configured_server_are_listed_by_names_that_work(server: ModelServer) -> None:
    _configure(box=server.base_url)
    done = llmspell("model", "list")
    assert (done.status, done.err) == (0, "")
    assert done.out.split() == ["box/llama3:8b", "box", "box/other", "box"]
    assert llmspell("model", "list", "--backend", "box", "--json").document["count"] == 2
    assert llmspell("model", "info", "box/llama3:8b", "--json").document["id"] == "llama3:8b"
    shown = dict(line.split(":", 1) for line in llmspell("model", "info", "box/llama3:8b").out.splitlines())
    assert {shown[name].strip() for name in ("Size", "Chat template", "Capabilities")} == {"unknown"}


def test_a_name_without_its_server_is_answered_with_the_whole_name(server: ModelServer) -> None:
    _configure(box=server.base_url)
    for words in (["chat", "llama3", "hi there"], ["chat", "-m", "llama3:8b", "hi"], ["model", "info", "othr"]):
        done = llmspell(*words)
        meant = "box/other" if "othr" in words else "box/llama3:8b"
        assert (done.status, f"did you mean '{meant}'?" in done.err) == (3, True), done.err


def test_a_model_of_a_server_is_refused_its_removal_before_anything_is_asked(server: ModelServer) -> None:
    _configure(box=server.base_url)
    done = llmspell("model", "remove", "box/other")
    assert (done.status, done.err.splitlines()[0]) == (
        2,
        "Error: box can't do 'remove': its models are not on this machine's disk",
    )


def test_a_server_that_is_down_costs_a_second_and_hides_no_other(server: ModelServer) -> None:
    _configure(box=server.base_url, dead=DEAD)
    done = llmspell("model", "list")
    assert done.status == 0
    assert "box/llama3:8b" in done.out
    assert done.err == (
        f"Warning: dead: no answer from {DEAD} (connection refused)\n"
        "Hint: llmspell config set providers.dead.enabled false switches it off\n"
    )
    assert llmspell("model", "list", "--backend", "dead").status == 4


def test_a_running_kernel_asks_a_server_for_its_list_once_a_minute(home: Path, server: ModelServer) -> None:
    _configure(box=server.base_url)
    kernel = KernelProcess()
    with kernel.client() as client:
        counts = [_count(client) for _ in range(3)]
    kernel.stop()
    assert counts == [2, 2, 2]
    assert len(server.asked) == 1


def _count(client: Client) -> int:
    count = client.request("model_request", {"action": "list"}).result().content["count"]
    assert isinstance(count, int)
    return count


def test_who_has_no_ollama_is_not_told_of_it() -> None:
    done = llmspell("model", "list")
    assert (done.status, done.err) == (0, "Hint: llmspell model available\n")
    assert "ollama" not in llmspell("model", "info", "nosuch:1b").err
    assert "ollama" not in llmspell("model", "pull", "nosuch:1b").err.lower()


def test_who_has_one_that_is_down_is_told_how_to_switch_it_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_HOST", "http://127.0.0.1:9")
    warning, hint = llmspell("model", "list").err.splitlines()[:2]
    assert warning.startswith("Warning: ollama: no answer from http://127.0.0.1:9 (")
    assert hint == "Hint: llmspell config set providers.ollama.enabled false switches it off"
    assert llmspell("config", "set", "providers.ollama.enabled", "false").status == 0
    assert "127.0.0.1" not in llmspell("model", "list").err
    status = llmspell("model", "info", "x@ollama")
    assert "Hint: llmspell config set providers.ollama.enabled true" in status.err


@pytest.mark.parametrize("words", [("chat", "openai/gpt-5", "hi"), ("model", "info", "openai/gpt-5")])
def test_a_vendor_without_a_key_says_where_a_key_goes(words: tuple[str, ...]) -> None:
    done = llmspell(*words)
    assert done.status != 0
    assert done.err == (
        "Error: provider 'openai' has no API key: OPENAI_API_KEY is not set, and none is stored\n"
        "Hint: llmspell keys add openai\n"
    )


def test_a_key_alone_is_enough_for_a_vendor(monkeypatch: pytest.MonkeyPatch) -> None:
    # Nothing may leave this machine: the proxy that is named is not there, and says so.
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    assert "openai" not in llmspell("model", "status", "--json").document
    monkeypatch.setenv("OPENAI_API_KEY", "sk-exported")
    assert llmspell("keys", "add", "groq", "--stdin", "--store", "file", stdin="gsk-stored\n").status == 0
    backends = llmspell("model", "status", "--json").document
    assert {"openai", "groq"} <= backends.keys()
    for name in ("openai", "groq"):
        assert backends[name]["configured"]
        assert "credentials" not in backends[name]["reason"]
        done = llmspell("chat", f"{name}/some-model", "hi")
        assert "HTTPS_PROXY" in done.err
        assert "sk-" not in done.err


def test_a_vendor_that_is_switched_off_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-exported")
    Path("llmspell.toml").write_text("[providers.openai]\nenabled = false\n")
    assert "openai" not in llmspell("model", "status", "--json").document
    done = llmspell("chat", "openai/gpt-5", "hi")
    assert "Backend 'openai' is switched off" in done.err


def test_doctor_looks_at_every_server(server: ModelServer) -> None:
    _configure(box=server.base_url, dead=DEAD)
    checks = {check["name"]: check for check in llmspell("doctor", "--offline", "--json").document["checks"]}
    assert checks["servers"]["status"] == "warn"
    assert checks["servers"]["message"] == "dead: connection refused; box answers"
    assert checks["servers"]["hint"].startswith("llmspell config set providers.dead.base_url URL")
    assert checks["ollama"]["status"] == "skip"


def test_validate_looks_at_every_server_unless_told_not_to(server: ModelServer) -> None:
    _configure(box=server.base_url, dead=DEAD)
    told = llmspell("config", "validate", "--json").document["warnings"]
    assert [(warning["key"], warning["message"]) for warning in told] == [
        ("providers.dead.base_url", f"no answer from {DEAD} (connection refused)")
    ]
    assert llmspell("config", "validate", "--offline", "--json").document["warnings"] == []


def test_a_profile_of_ours_says_nothing_of_its_own_keys_that_have_no_effect() -> None:
    done = llmspell("-p", "rag-prod", "exec", "return 1")
    assert (done.status, done.out) == (0, "1\n")
    assert "no effect" not in done.err


def test_a_running_kernel_is_said_to_have_the_old_settings_until_it_reloads(home: Path) -> None:
    kernel = KernelProcess()
    name = json.loads(Path(kernel.started["connection_file"]).read_text()).get("id") or kernel.info.id
    done = llmspell("config", "set", "models.max_queue", "7")
    assert f"{name}: this kernel still has the old settings" in done.out
    assert done.err == "Hint: llmspell config reload\n"
    reloaded = llmspell("config", "reload")
    assert (reloaded.status, reloaded.out) == (0, f"✓ {name}\n  models.max_queue: in force\n")
    kernel.stop()
    assert llmspell("config", "reload").err.startswith("Error: no kernel is running\n")
