"""What can be wrong with an Ollama server: broken or hanging streams, other servers; typed errors, never a hang."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import pytest

from llmspell_protocol.errors import (
    BackendUnavailable,
    LlmspellError,
    Timeout,
)
from llmspell_protocol.models import ChatChunk, LoadOptions, SamplingOptions
from llmspell_protocol.pulls import PullProgress
from llmspell_providers.ollama.provider import OllamaProvider
from llmspell_providers.registry import ProviderRegistry
from llmspell_providers.spec import ModelSpec
from tests.support.chat_turns import turn
from tests.support.ollama_backend import ollama_backend
from tests.support.ollama_calls import recorded_lines, request_saying, until_failure
from tests.support.ollama_replay import Asked, Fault, OllamaReplay
from tests.support.settings import settings_from

Kind = Literal["cut", "ended", "garbage", "foreign"]

CHAT = "064-chat-stream"
PULL = "174-pull-success"
SMOLLM2 = ModelSpec.parse("smollm2:135m")
KINDS: tuple[Kind, ...] = ("cut", "ended", "garbage", "foreign")


@pytest.fixture(scope="module")
def spoilt() -> Iterator[OllamaReplay]:
    """One server for many faults."""
    with OllamaReplay(CHAT, PULL) as server:
        yield server


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("at", range(len(recorded_lines(CHAT))))
def test_a_chat_that_breaks_at_any_chunk_is_a_typed_error(
    spoilt: OllamaReplay, kind: Kind, at: int, tmp_path: Path
) -> None:
    spoilt.fault = Fault(kind, at)

    async def scenario() -> tuple[list[ChatChunk], LlmspellError]:
        provider = ollama_backend(spoilt.base_url, tmp_path)
        try:
            return await until_failure(turn(provider, request_saying()))
        finally:
            await provider.close()

    chunks, error = asyncio.run(scenario())
    assert type(error) is BackendUnavailable
    assert error.details["base_url"] == spoilt.base_url
    # All that had come before is shown.
    assert [chunk.text for chunk in chunks if chunk.text] == [
        line["message"]["content"] for line in recorded_lines(CHAT)[:at] if line["message"]["content"]
    ]


@pytest.mark.parametrize("at", range(len(recorded_lines(PULL))))
def test_a_pull_that_breaks_at_any_chunk_is_a_typed_error(spoilt: OllamaReplay, at: int, tmp_path: Path) -> None:
    async def scenario() -> None:
        provider = ollama_backend(spoilt.base_url, tmp_path)
        for kind in KINDS:
            spoilt.fault = Fault(kind, at)
            progress, error = await until_failure(provider.pull(SMOLLM2, force=False, quantization=None))
            assert type(error) is BackendUnavailable, kind
            assert len(progress) == at + 1
            assert all(one.result is None for one in progress)
        await provider.close()

    asyncio.run(scenario())


def test_a_chat_that_hangs_at_any_chunk_ends_when_its_time_is_over(tmp_path: Path) -> None:
    def where(asked: Asked) -> Fault:
        return Fault("hang", asked.body["options"]["seed"])

    async def scenario(base_url: str) -> list[tuple[list[ChatChunk], LlmspellError]]:
        provider = ollama_backend(base_url, tmp_path, "timeout_seconds = 2\nmax_retries = 0\n")
        requests = [request_saying(options=SamplingOptions(seed=at)) for at in range(len(recorded_lines(CHAT)))]
        try:
            async with asyncio.timeout(30):
                return await asyncio.gather(*(until_failure(turn(provider, one)) for one in requests))
        finally:
            await provider.close()

    with OllamaReplay(CHAT, fault=where) as ollama:
        ended = asyncio.run(scenario(ollama.base_url))
    assert {type(error) for _, error in ended} == {Timeout}
    assert ended[0][1].message == "'smollm2:135m@ollama' said nothing for 2 s"
    # The last one had everything but the end.
    assert "".join(chunk.text for chunk in ended[-1][0]).startswith("The sky appears")


def test_a_pull_in_silence_ends_when_the_time_of_a_request_is_over(tmp_path: Path) -> None:
    async def scenario(base_url: str) -> tuple[list[PullProgress], LlmspellError]:
        provider = ollama_backend(base_url, tmp_path, "timeout_seconds = 1\n")
        try:
            return await until_failure(provider.pull(SMOLLM2, force=False, quantization=None))
        finally:
            await provider.close()

    with OllamaReplay(PULL, fault=Fault("hang", 20)) as ollama:
        progress, error = asyncio.run(scenario(ollama.base_url))
    assert type(error) is Timeout
    assert "said nothing for 1 s" in error.message
    assert len(progress) == 21


@pytest.mark.parametrize(
    "call",
    [
        lambda provider: provider.info(SMOLLM2),
        lambda provider: provider.load(SMOLLM2, LoadOptions()),
        lambda provider: provider.embed(SMOLLM2, ["a", "b"], normalize=True, client="me"),
    ],
    ids=["info", "load", "embed"],
)
def test_calls_that_are_no_streams_end_too(call: Callable[[OllamaProvider], Any], tmp_path: Path) -> None:
    recordings = ("033-tags-two", "050-ps-one", "038-show", "129-generate-load", "131-embed-two")

    async def scenario(base_url: str, extra: str) -> LlmspellError:
        provider = ollama_backend(base_url, tmp_path, extra)
        with pytest.raises(LlmspellError) as caught:
            await call(provider)
        await provider.close()
        return caught.value

    with OllamaReplay(*recordings, fault=Fault("hang", 0)) as ollama:
        assert type(asyncio.run(scenario(ollama.base_url, "timeout_seconds = 1\n"))) is Timeout
    with OllamaReplay(*recordings, fault=Fault("cut", 0)) as ollama:
        assert type(asyncio.run(scenario(ollama.base_url, ""))) is BackendUnavailable


@pytest.mark.parametrize(("seconds", "asked"), [(1, 2), (60, 1)])
def test_a_good_answer_is_trusted_as_long_as_the_settings_say(seconds: int, asked: int, tmp_path: Path) -> None:
    now = 0.0

    async def scenario(base_url: str) -> None:
        nonlocal now
        provider = ollama_backend(base_url, tmp_path, f"health_check_interval_seconds = {seconds}\n")
        provider._server._clock = lambda: now
        for moment in (0.0, 30.0):
            now = moment
            async for _ in turn(provider, request_saying()):
                pass
        await provider.close()

    with OllamaReplay(CHAT, "010-ps-empty") as ollama:
        asyncio.run(scenario(ollama.base_url))
        assert [one.path for one in ollama.asked].count("/api/version") == asked


@pytest.mark.parametrize("body", [b'{"version": "0.12.5"}', b'{"version": "0.9.6-rc1"}'])
def test_a_server_that_would_cut_prompts_whatever_is_said_is_too_old(body: bytes, tmp_path: Path) -> None:
    error, reason = asyncio.run(_at_a_server_that_says(body, tmp_path))
    assert reason is not None
    assert "is too old, 0.12.6 or later is needed" in reason
    assert reason in error.message


@pytest.mark.parametrize("body", [b'{"version": 3}', b"[]", b"<html>", b'{"vers', b"\xff\xfe"])
def test_a_server_that_is_something_else_is_no_ollama(body: bytes, tmp_path: Path) -> None:
    error, reason = asyncio.run(_at_a_server_that_says(body, tmp_path))
    assert reason is not None
    assert "something else than" in reason
    assert reason in error.message


async def _at_a_server_that_says(body: bytes, home: Path) -> tuple[LlmspellError, str | None]:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        provider = ollama_backend(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", home)
        health = await provider.health()
        _, error = await until_failure(turn(provider, request_saying()))
        await provider.close()
    assert type(error) is BackendUnavailable
    assert not health.ready
    return error, health.reason


@pytest.mark.parametrize("entry", [{"name": 3}, "smollm2", {"name": "x", "size": 1, "modified_at": "yesterday"}])
def test_lists_with_odd_things_in_them_are_no_lists_of_ollama(entry: Any, tmp_path: Path) -> None:
    async def scenario(base_url: str) -> None:
        with pytest.raises(BackendUnavailable, match="something else than Ollama"):
            await ollama_backend(base_url, tmp_path).list_models()

    with OllamaReplay("033-tags-two", "010-ps-empty") as ollama:
        ollama.replace("033-tags-two", {"models": [entry]})
        asyncio.run(scenario(ollama.base_url))


def test_the_other_backends_go_on_while_ollama_hangs(tmp_path: Path) -> None:
    async def scenario() -> None:
        async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()
            writer.close()

        server = await asyncio.start_server(silent, "127.0.0.1", 0)
        address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        settings = settings_from(f'[providers.ollama]\nbase_url = "{address}"\n', tmp_path)
        registry = ProviderRegistry(settings, log_directory=tmp_path, environment={})
        hanging = asyncio.create_task(until_failure(turn(registry.get("ollama"), request_saying())))
        mock = registry.get("mock")
        async with asyncio.timeout(20):
            request = request_saying(model="mock/echo@mock")
            chunks = [chunk async for chunk in turn(mock, request)]
            assert chunks[-1].result is not None
            assert not hanging.done()
            _, error = await hanging
        assert type(error) is BackendUnavailable
        await registry.close()
        server.close()
        await server.wait_closed()

    asyncio.run(scenario())
