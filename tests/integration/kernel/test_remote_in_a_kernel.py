"""Remote providers through the whole way: settings, keys, kernel and command line, embedded and connected."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.command_line import Done, llmspell
from tests.support.kernels import KernelProcess
from tests.support.model_server import ModelServer, answering, failing, said

KEY = "sk-this-must-never-be-shown"

Run = Callable[..., Done]


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with ModelServer(said("Hel", "lo!"), models=("m", "n")) as one:
        yield one


@pytest.fixture
def configuration(home: Path, server: ModelServer, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three tables: one that works, one without a key, one that no interface here speaks."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    path = home.parent / "llmspell.toml"
    path.write_text(
        f"""
        [providers]
        default_provider = "box"

        [providers.box]
        provider_type = "openai"
        base_url = "{server.base_url}"
        default_model = "m"
        api_key_env = "BOX_KEY"

        [providers.openai]
        default_model = "gpt-4"

        [providers.replicate]
        """
    )
    monkeypatch.setenv("BOX_KEY", KEY)
    return path


@pytest.fixture(params=["embedded", "connected"])
def run(request: pytest.FixtureRequest, configuration: Path) -> Iterator[Run]:
    """The command line in either mode."""
    if request.param == "embedded":
        yield llmspell
        return
    kernel = KernelProcess(cwd=configuration.parent)
    yield lambda *words, **rest: llmspell("--connect", kernel.info.id, *words, **rest)
    kernel.stop()


def test_status_shows_every_configured_provider_and_runs_no_model(run: Run, server: ModelServer) -> None:
    done = run("model", "status", "--json")
    assert done.status == 0
    status = done.document
    assert list(status) == ["ollama", "candle", "box", "openai", "replicate"]
    assert (status["box"]["running"], status["box"]["available_models"]) == (True, 2)
    assert status["openai"]["reason"] == "no credentials (OPENAI_API_KEY is not set, no key stored)"
    assert "no OpenAI-compatible interface" in status["replicate"]["reason"]
    assert server.posts == []
    assert run("model", "status", "--backend", "box").status == 0
    assert run("model", "status", "--backend", "openai").status == 4


def test_status_tells_which_of_several_servers_is_down(home: Path, server: ModelServer) -> None:
    urls = ["http://127.0.0.1:9/v1", server.base_url]
    (home / "config.toml").write_text(f'[providers.farm]\nprovider_type = "openai"\nbase_urls = {json.dumps(urls)}\n')
    done = llmspell("model", "status")
    assert done.status == 0
    assert [line.split()[:2] for line in done.out.splitlines()][-1] == ["farm", "running"]
    assert done.err == "Warning: farm: 1 of 2 servers answer (http://127.0.0.1:9/v1: connection refused)\n"
    assert llmspell("model", "status", "--json").document["farm"]["reason"].startswith("1 of 2 servers answer")


def test_a_chat_streams_from_the_default_provider_s_default_model(run: Run, server: ModelServer) -> None:
    assert run("chat", "--message", "hi").out == "Hello!\n"
    assert run("chat", "box/n", "--message", "hi").out == "Hello!\n"
    assert run("chat", "n@box", "--message", "hi").out == "Hello!\n"
    assert [asked.body["model"] for asked in server.posts] == ["m", "n", "n"]
    assert {asked.headers["authorization"] for asked in server.posts} == {f"Bearer {KEY}"}


def test_texts_become_vectors(configuration: Path) -> None:
    rows = answering({"data": [{"index": 0, "embedding": [3.0, 4.0]}], "usage": {"prompt_tokens": 1}})
    with ModelServer(rows) as vectors:
        environment = {"LLMSPELL_PROVIDERS__BOX__BASE_URL": vectors.base_url}
        done = llmspell("embed", "--model", "box/m", "a", "--json", env=environment)
    assert done.status == 0, done.err
    assert vectors.posts[0].path == "/v1/embeddings"


def test_a_listing_of_local_models_asks_no_server(run: Run, server: ModelServer) -> None:
    assert run("model", "list", "--backend", "candle").status == 0
    assert server.asked == []


def test_a_script_s_agent_speaks_with_a_remote_model(run: Run, tmp_path: Path) -> None:
    script = tmp_path / "hi.lua"
    script.write_text('print(Agent.builder():model("box/m"):build():execute({text = "hi"}).text)')
    done = run("run", str(script))
    assert (done.status, done.out) == (0, "Hello!\n"), done.err


def test_a_missing_key_says_how_to_store_one(run: Run) -> None:
    done = run("chat", "openai/gpt-4", "--message", "hi")
    assert done.status == 2
    assert done.err.splitlines() == [
        "Error: provider 'openai' has no API key: OPENAI_API_KEY is not set, and none is stored",
        "Hint: llmspell keys add openai",
    ]


def test_the_key_of_openai_goes_to_no_other_server_unless_it_is_named(home: Path) -> None:
    table = '[providers.my-box]\nprovider_type = "openai"\nbase_url = "{}"\n{}'
    environment = {"OPENAI_API_KEY": KEY}
    with ModelServer(said("ok")) as server:
        for line, sent in (("", None), ('api_key_env = "OPENAI_API_KEY"\n', f"Bearer {KEY}")):
            (home / "config.toml").write_text(table.format(server.base_url, line))
            server.asked.clear()
            assert llmspell("chat", "my-box/m", "--message", "hi", env=environment).out == "ok\n"
            assert llmspell("model", "status", "--backend", "my-box", env=environment).status == 0
            assert [asked.headers.get("authorization") for asked in server.asked] == [sent, sent]
            listed = llmspell("keys", "list", env=environment).out
            assert ("my-box" in listed) == (sent is not None)


def test_a_server_of_ones_own_that_wants_a_key_names_a_variable_that_is_read(home: Path) -> None:
    refused = failing(401, {"error": {"message": "Unauthorized"}})
    with ModelServer(lambda asked: said("ok") if "authorization" in asked.headers else refused) as server:
        (home / "config.toml").write_text(
            f'[providers.my-box]\nprovider_type = "openai"\nbase_url = "{server.base_url}"\n'
        )
        done = llmspell("chat", "my-box/m", "--message", "hi")
        assert done.status == 4
        assert "set LLMSPELL_MY_BOX_API_KEY, or llmspell keys add my-box" in done.err
        assert llmspell("chat", "my-box/m", "--message", "hi", env={"LLMSPELL_MY_BOX_API_KEY": KEY}).out == "ok\n"


def test_a_key_that_was_stored_while_the_kernel_ran_counts(
    configuration: Path, server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("BOX_KEY")
    kernel = KernelProcess(cwd=configuration.parent)
    try:
        assert llmspell("keys", "add", "box", "--stdin", "--store", "file", stdin="stored\n").status == 0
        assert llmspell("--connect", kernel.info.id, "chat", "--message", "hi").out == "Hello!\n"
    finally:
        kernel.stop()
    assert server.posts[0].headers["authorization"] == "Bearer stored"


def test_a_key_is_in_no_log_even_where_everything_is_logged(configuration: Path, server: ModelServer) -> None:
    done = llmspell("--trace", "debug", "chat", "--message", "hi")
    assert done.out == "Hello!\n"
    logs = [path.read_text() for path in (configuration.parent / "home").rglob("*") if path.is_file()]
    assert KEY not in done.err + "".join(logs)


def test_status_and_start_import_no_vendor_s_package(configuration: Path) -> None:
    probe = (
        "import json, sys\nfrom llmspell_cli.root import run\nrun(['model', 'status'])\n"
        "print(json.dumps(sorted(sys.modules)), file=sys.__stderr__)"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True, env=os.environ)
    modules = set(json.loads(done.stderr.splitlines()[-1]))
    assert {"openai", "anthropic", "httpx", "httpx2"} & modules == set()
