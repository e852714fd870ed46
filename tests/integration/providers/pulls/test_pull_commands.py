"""`llmspell model pull` of hub repositories as people and programs see it, embedded and connected."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.support.command_line import AtTerminal, Done, Running, llmspell
from tests.support.gguf_files import METADATA, gguf_file, safetensors_file
from tests.support.gguf_split import split
from tests.support.hub_server import HubServer
from tests.support.json_reference import problems, problems_of_stderr
from tests.support.kernels import KernelProcess
from tests.support.pulling import MODEL
from tests.support.rendered import rendered

MODES = ("embedded", "connected")
TOKEN = "hf_0123456789abcdef"


@contextmanager
def target(mode: str, env: dict[str, str]) -> Iterator[list[str]]:
    """The words that choose the mode; a kernel has the environment that matters."""
    if mode == "embedded":
        yield ["-p", "candle"]
        return
    kernel = KernelProcess(["--profile", "candle"], env=env)
    try:
        yield ["--connect", str(kernel.started["connection_file"])]
    finally:
        kernel.stop()


@dataclass(frozen=True)
class Refusal:
    """A pull that fails: what the environment adds, and how the command ends."""

    model: str
    status: int
    code: str
    says: str
    hint: str
    env: dict[str, str] = field(default_factory=dict)


NEEDS_TOKEN = "set HF_TOKEN where the kernel runs, or llmspell keys add huggingface"
REFUSALS = {
    "gated, no token": Refusal("hf.co/org/gated", 4, "unauthorized", "is gated, and there is no token", NEEDS_TOKEN),
    "gated, a token without access": Refusal(
        "hf.co/org/gated", 1, "forbidden", "the token has no access", "ask for access at", {"HF_TOKEN": "hf_of_others"}
    ),
    "a token that the hub does not know": Refusal(
        "hf.co/org/repo", 4, "unauthorized", "does not accept the token", NEEDS_TOKEN, {"HF_TOKEN": "hf_expired"}
    ),
    "private, no token": Refusal("hf.co/org/private", 3, "model_not_found", "it is private", NEEDS_TOKEN),
    "private, a token that may not see it": Refusal(
        *("hf.co/org/private", 3, "model_not_found", "this token may not see it", "check the name"),
        {"HF_TOKEN": "hf_of_others"},
    ),
    "no such repository": Refusal("hf.co/org/nosuch", 3, "model_not_found", "no such repository", "check the name"),
    "no such revision": Refusal("hf.co/org/repo@v9", 3, "model_not_found", "no such revision", "name a branch"),
    "no such quantization": Refusal(
        "hf.co/org/repo:Q2_K", 2, "invalid_request", "has no Q2_K: it has Q4_K_M", "hf.co/ORG/REPO:QUANT"
    ),
    "offline": Refusal(
        "hf.co/org/repo",
        1,
        "source_unavailable",
        "HF_HUB_OFFLINE is set",
        "unset HF_HUB_OFFLINE",
        {"HF_HUB_OFFLINE": "1"},
    ),
    "no server answers": Refusal(
        *("hf.co/org/repo", 1, "source_unavailable", "no answer from http://127.0.0.1:9", "HF_ENDPOINT names another"),
        {"HF_ENDPOINT": "http://127.0.0.1:9"},
    ),
}


@pytest.fixture
def hub(server: HubServer, home: Path) -> HubServer:
    server.repositories["org/gated"] = {"g-Q8_0.gguf": MODEL}
    server.repositories["org/private"] = {"p-Q8_0.gguf": MODEL}
    server.gated["org/gated"] = TOKEN
    server.readers["org/private"] = TOKEN
    server.tokens.add("hf_of_others")
    return server


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", REFUSALS)
def test_what_the_hub_refuses_says_why_and_what_to_do(name: str, mode: str, hub: HubServer, home: Path) -> None:
    case = REFUSALS[name]
    env = {**hub.environment(), **case.env}
    with target(mode, env) as words:
        done = llmspell(*words, "model", "pull", case.model, "--json", env=env)
        text = llmspell(*words, "model", "pull", case.model, env=env)
        listed = llmspell(*words, "model", "list", env=env)
    assert (done.status, done.error["code"]) == (case.status, case.code)
    assert case.says in done.error["message"]
    assert case.hint in done.error["hint"]
    assert [problem for line in done.err.splitlines() for problem in problems_of_stderr(json.loads(line))] == []
    assert text.status == case.status
    assert case.says in " ".join(text.err.split())
    assert listed.out == "No local models found\n"
    written = "".join(path.read_text(errors="replace") for path in home.rglob("*.log"))
    assert not any(token in written + done.err + text.err for token in case.env.values() if token.startswith("hf_"))


@pytest.mark.parametrize("body", [b"<html>Sign in to the network</html>", b"[]", b"{}", b'{"id": "x"}', b"\xff\xfe"])
def test_a_server_that_is_no_hub_is_told_from_one(body: bytes, hub: HubServer) -> None:
    hub.listing_body = body
    done = llmspell("-p", "candle", "model", "pull", "hf.co/org/repo", "--json", env=hub.environment())
    assert (done.status, done.error["code"]) == (1, "source_unavailable")
    assert "does not answer like a Hugging Face hub" in done.error["message"]
    assert done.error["hint"] == "check HF_ENDPOINT"


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("model", ["hf.co/org/gated", "hf.co/org/private"])
def test_a_stored_token_opens_what_is_closed(mode: str, model: str, hub: HubServer, home: Path) -> None:
    stored = llmspell("keys", "add", "huggingface", "--stdin", "--store", "file", stdin=f"{TOKEN}\n")
    assert stored.status == 0
    with target(mode, hub.environment()) as words:
        done = llmspell(*words, "model", "pull", model, env=hub.environment())
    assert (done.status, done.out.splitlines()[0][:14]) == (0, "✓ Downloaded: "), done.err
    written = "".join(path.read_text(errors="replace") for path in home.rglob("*.log"))
    assert TOKEN not in written + done.out + done.err


def test_what_is_installed_works_offline(hub: HubServer) -> None:
    env = hub.environment()
    assert llmspell("-p", "candle", "model", "pull", "hf.co/org/repo", env=env).status == 0
    offline = llmspell("-p", "candle", "model", "pull", "hf.co/org/repo", env={**env, "HF_HUB_OFFLINE": "1"})
    assert (offline.status, offline.out) == (0, "✓ Already present: org/repo:Q4_K_M (GGUF)\n")
    assert llmspell("-p", "candle", "model", "info", "org/repo", env={**env, "HF_HUB_OFFLINE": "1"}).status == 0


@pytest.mark.parametrize("mode", MODES)
def test_files_sizes_and_the_choice_are_shown_before_the_first_byte(mode: str, hub: HubServer) -> None:
    hub.repositories["org/many"] = {"m-Q5_K_M.gguf": gguf_file(1_500_000), "m-Q8_0.gguf": MODEL}
    with target(mode, hub.environment()) as words:
        done = llmspell(*words, "model", "pull", "hf.co/org/many", env=hub.environment())
        assert done.status == 0
        shown = done.err.splitlines()
        assert shown[0].split("  ") == ["m-Q5_K_M.gguf", "1.5 MB"]
        assert shown[1] == "Q5_K_M, since there is no Q4_K_M; also there: Q8_0"
        events = _events(
            llmspell(*words, "model", "pull", "hf.co/org/many", "--force", "--json", env=hub.environment())
        )
    (plan,) = [event for event in events if "files" in event]
    assert plan["files"] == [{"name": "m-Q5_K_M.gguf", "size_bytes": plan["bytes_total"]}]
    assert (plan["phase"], plan["bytes_downloaded"]) == ("resolving", 0)
    assert plan["reason"] == shown[1]
    assert all(event["bytes_downloaded"] == 0 for event in events[: events.index(plan)])


def test_several_files_are_listed_with_their_sum(hub: HubServer) -> None:
    hub.repositories["org/t5"] = {
        "config.json": b'{"model_type": "t5", "d_model": 64}',
        "model.safetensors": safetensors_file({"shared.weight": [1000, 500]}),
        "pytorch_model.bin": b"pickle",
    }
    done = llmspell("-p", "candle", "model", "pull", "hf.co/org/t5", env=hub.environment())
    assert [re.split(r"\s{2,}", line) for line in done.err.splitlines()[:3]] == [
        ["config.json", "35 B"],
        ["model.safetensors", "2.0 MB"],
        ["2 files", "2.0 MB"],
    ]


@pytest.mark.parametrize("mode", MODES)
def test_ctrl_c_keeps_every_file_s_bytes_and_a_narrow_terminal_shows_what_goes_on(mode: str, hub: HubServer) -> None:
    repository = "hf.co/some-organisation/a-model-with-quite-a-long-name-GGUF"
    names = [f"a-model-with-quite-a-long-name-instruct-Q8_0-0000{number}-of-00002.gguf" for number in (1, 2)]
    hub.repositories[repository.removeprefix("hf.co/")] = {
        name: gguf_file(1_000_000, {**(METADATA if not at else {}), "split.no": at, "split.count": 2})
        for at, name in enumerate(names)
    }
    for name in names:
        hub.manner(name).hold_at = 400_000
    env = hub.environment()
    with target(mode, env) as words:
        pulling = Running(*words, "model", "pull", repository, "--json", env=env)
        pulling.wait_for('"bytes_downloaded": 800000', stream="err")
        pulling.interrupt()
        assert pulling.done().status == 130
        for name in names:
            hub.manner(name).release.set()
        terminal = AtTerminal([*words, "model", "pull", repository], columns=60, env=env)
        assert terminal.end() == 0
    lines = rendered(terminal.text, 1000)
    assert lines[:6] == [names[0], "  1.0 MB", names[1], "  1.0 MB", "2 files", "  2.0 MB"]
    assert lines[6] == "Resuming at 800 kB"
    assert lines[7:9] == ["✓ Downloaded:", "some-organisation/a-model-with-quite-a-long-name-GGUF:Q8_0"]
    assert [hub.range_requests(name) for name in names] == [["bytes=400000-"]] * 2


def test_two_commands_that_pull_one_model_make_one_download_and_the_second_says_so(hub: HubServer) -> None:
    manner = hub.manner("tiny.Q4_K_M.gguf")
    manner.hold_at = len(MODEL) // 2
    words = ("-p", "candle", "model", "pull", "hf.co/org/repo")
    first = Running(*words, env=hub.environment())
    assert manner.reached.wait(60)
    second = Running(*words, env=hub.environment())
    second.wait_for("another process is pulling this model", stream="err")
    manner.release.set()
    ended = [first.done(), second.done()]
    assert [done.status for done in ended] == [0, 0]
    assert "Resuming" not in "".join(done.err for done in ended)
    assert len(hub.data_requests("tiny.Q4_K_M.gguf")) == 1


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
def test_a_split_model_is_pulled_loaded_asked_verified_and_removed(
    mode: str, hub: HubServer, home: Path, tmp_path: Path, smollm2_path: Path
) -> None:
    parts = split(smollm2_path, tmp_path, "SmolLM2-135M-Q4_1", 3)
    hub.repositories["org/smol"] = {f"Q4_1/{part.name}": part.read_bytes() for part in parts}
    with target(mode, hub.environment()) as words:
        pulled = llmspell(*words, "model", "pull", "hf.co/org/smol:Q4_1", "--json", env=hub.environment())
        assert pulled.status == 0, pulled.err
        assert problems("model pull", pulled.document) == []
        assert [file["name"] for file in pulled.document["files"]] == [part.name for part in parts]
        asked = llmspell(
            *(*words, "chat", "org/smol:Q4_1@candle", "--message", "What is the capital of France?"),
            *("--temperature", "0", "--max-tokens", "12", "--json", "--no-stream"),
        )
        assert asked.status == 0, asked.err
        assert "Paris" in asked.document["message"]["content"]
        verified = llmspell(*words, "model", "verify", "org/smol:Q4_1", "--json")
        assert [file["ok"] for file in verified.document["models"][0]["files"]] == [True, True, True]
        if mode == "connected":
            assert llmspell(*words, "model", "unload", "--all").status == 0
        removed = llmspell(*words, "model", "remove", "org/smol:Q4_1@candle", "--yes", "--json")
        assert removed.document["bytes_freed"] == sum(part.stat().st_size for part in parts)
    assert [path for path in home.rglob("*.gguf*") if path.is_file()] == []


def _events(done: Done) -> list[dict[str, object]]:
    assert done.status == 0, done.err
    return [json.loads(line) for line in done.err.splitlines()]
