"""`llmspell model search`: what the hub has, with the command that pulls it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator

import pytest

from llmspell_protocol.errors import LlmspellError, RateLimited, SourceUnavailable, Unauthorized
from llmspell_providers.pulls.pull import Puller
from tests.support.command_line import llmspell
from tests.support.hub_manners import Refusal
from tests.support.hub_server import HubServer, hub_server
from tests.support.kernels import KernelProcess
from tests.support.pulling import MODEL, workers


@pytest.fixture
def hub() -> Iterator[HubServer]:
    with hub_server() as running:
        running.repositories["unsloth/Qwen3-4B-GGUF"] = {"q.gguf": MODEL}
        running.repositories["Qwen/Qwen3-8B-GGUF"] = {"q.gguf": MODEL}
        running.repositories["Qwen/Qwen3-8B"] = {"model.safetensors": b"x"}
        running.repositories["meta/Llama-Gated-GGUF"] = {"q.gguf": MODEL}
        running.gated["meta/Llama-Gated-GGUF"] = "hf_mine"
        yield running


@pytest.mark.parametrize("mode", ["embedded", "connected"])
def test_repositories_are_found_with_the_command_that_pulls_them(mode: str, home: object, hub: HubServer) -> None:
    kernel = KernelProcess(["--profile", "candle"], env=hub.environment()) if mode == "connected" else None
    target = ["--connect", str(kernel.started["connection_file"])] if kernel else ["-p", "candle"]
    try:
        found = llmspell(*target, "model", "search", "qwen3", env=hub.environment())
        assert found.status == 0, found.err
        lines = found.out.splitlines()
        assert lines[0].split() == ["NAME", "SIZE", "DOWNLOADS", "LICENCE", "CONTEXT"]
        assert lines[1].split() == ["hf.co/unsloth/Qwen3-4B-GGUF", "2.4", "GB", "1,000", "apache-2.0", "8,192"]
        assert lines[2].startswith("hf.co/Qwen/Qwen3-8B-GGUF ")
        assert lines[3] == "Pull one: llmspell model pull hf.co/unsloth/Qwen3-4B-GGUF"

        first = llmspell(*target, "model", "search", "qwen3", "--limit", "1", "--json", env=hub.environment()).document
        assert first["count"] == 1
        command = first["repositories"][0]["command"].split()[1:]
        assert llmspell(*target, *command, env=hub.environment()).status == 0
        assert "(terms)" in llmspell(*target, "model", "search", "gated", env=hub.environment()).out
        nothing = llmspell(*target, "model", "search", "no", "such", env=hub.environment())
        assert nothing.out == "No GGUF repository has these words: no such\n"
        offline = llmspell(*target, "model", "search", "x", "--limit", "0")
        assert offline.status == 2
    finally:
        if kernel:
            kernel.stop()


def test_without_a_network_the_error_says_what_to_do(home: object) -> None:
    for env, says in (
        ({"HF_HUB_OFFLINE": "1"}, "offline (HF_HUB_OFFLINE is set)"),
        ({"HF_ENDPOINT": "http://127.0.0.1:9"}, "The hub can't be searched"),
    ):
        done = llmspell("-p", "candle", "model", "search", "qwen3", env=env)
        assert done.status != 0
        assert says in done.err
        assert "Hint: " in done.err


def _asked(puller: Puller) -> LlmspellError:
    with pytest.raises(LlmspellError) as caught:
        asyncio.run(puller.search("qwen3", 5))
    assert workers() == []
    return caught.value


@pytest.mark.parametrize(
    ("status", "kind"), [(401, Unauthorized), (500, SourceUnavailable), (429, RateLimited)], ids=str
)
def test_what_the_hub_refuses_is_told_by_its_kind(
    puller_of: Callable[..., Puller], server: HubServer, status: int, kind: type[LlmspellError]
) -> None:
    server.listing_refusals = [Refusal(status, {"Retry-After": "3600"})]

    assert type(_asked(puller_of())) is kind


@pytest.mark.parametrize("body", [b"{}", b"<html>", b"[", b'"x"'])
def test_an_answer_that_is_no_list_is_no_hub_s(
    puller_of: Callable[..., Puller], server: HubServer, body: bytes
) -> None:
    server.listing_body = body

    assert "does not answer like a Hugging Face hub" in _asked(puller_of()).message


def test_entries_that_make_no_sense_are_left_out_and_their_numbers_are_not_believed(
    puller_of: Callable[..., Puller], server: HubServer
) -> None:
    sound = {"id": "org/repo", "downloads": -1, "gguf": {"total": "many", "architecture": 7}, "tags": "x"}
    server.listing_body = json.dumps([7, {}, {"id": "no-slash"}, {"id": "a/b/c"}, {"id": "a/\x1b[2J"}, sound]).encode()
    found = asyncio.run(puller_of().search("x", 5))

    assert [(one.name, one.downloads, one.size_bytes, one.license) for one in found] == [
        ("hf.co/org/repo", None, None, None)
    ]
