"""What can be wrong with an Ollama server, and what it would rather not tell: typed errors, and never a hang."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import pytest

from llmspell_protocol.errors import (
    BackendUnavailable,
    Busy,
    ContextLengthExceeded,
    InvalidRequest,
    LlmspellError,
    ModelError,
    Timeout,
    Unsupported,
)
from llmspell_protocol.models import (
    ChatChunk,
    ChatMessage,
    ChatRequest,
    ChatResult,
    LoadOptions,
    PullProgress,
    SamplingOptions,
)
from llmspell_providers.ollama.client import uncut_client
from llmspell_providers.ollama.provider import OllamaProvider
from llmspell_providers.registry import ProviderRegistry
from llmspell_providers.spec import ModelSpec
from tests.support.chat_turns import turn
from tests.support.model_server import ModelServer, answering
from tests.support.ollama_backend import ollama_backend
from tests.support.ollama_replay import RECORDINGS, Asked, Fault, OllamaReplay
from tests.support.settings import settings_from

Kind = Literal["cut", "ended", "garbage", "foreign"]

CHAT, PULL = "064-chat-stream", "174-pull-success"
SMOLLM2 = ModelSpec.parse("smollm2:135m")
KINDS: tuple[Kind, ...] = ("cut", "ended", "garbage", "foreign")


def _lines(name: str) -> list[Any]:
    chunks = json.loads((RECORDINGS / f"{name}.json").read_text())["response"]["chunks"]
    return [json.loads(chunk["data"]) for chunk in chunks]


def _request(text: str = "Hi", **fields: Any) -> ChatRequest:
    messages = (ChatMessage(role="user", content=text, images=fields.pop("images", ())),)
    return ChatRequest(**{"model": "smollm2:135m", "messages": messages, **fields})


async def _failing(chunks: Any) -> tuple[list[Any], LlmspellError]:
    """What came before the error, and the error."""
    come: list[Any] = []
    try:
        while True:
            come.append(await anext(chunks))
    except LlmspellError as error:
        return come, error


def _chat(provider: OllamaProvider, request: ChatRequest) -> tuple[list[ChatChunk], ChatResult]:
    async def run() -> list[ChatChunk]:
        try:
            return [chunk async for chunk in turn(provider, request)]
        finally:
            await provider.close()

    chunks = asyncio.run(run())
    assert chunks[-1].result is not None
    return chunks[:-1], chunks[-1].result


@pytest.fixture(scope="module")
def spoilt() -> Iterator[OllamaReplay]:
    """One server for many faults."""
    with OllamaReplay(CHAT, PULL) as server:
        yield server


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("at", range(len(_lines(CHAT))))
def test_a_chat_that_breaks_at_any_chunk_is_a_typed_error(
    spoilt: OllamaReplay, kind: Kind, at: int, tmp_path: Path
) -> None:
    spoilt.fault = Fault(kind, at)

    async def scenario() -> tuple[list[ChatChunk], LlmspellError]:
        provider = ollama_backend(spoilt.base_url, tmp_path)
        try:
            return await _failing(turn(provider, _request()))
        finally:
            await provider.close()

    chunks, error = asyncio.run(scenario())
    assert type(error) is BackendUnavailable
    assert error.details["base_url"] == spoilt.base_url
    # All that had come before is shown.
    assert [chunk.text for chunk in chunks if chunk.text] == [
        line["message"]["content"] for line in _lines(CHAT)[:at] if line["message"]["content"]
    ]


@pytest.mark.parametrize("at", range(len(_lines(PULL))))
def test_a_pull_that_breaks_at_any_chunk_is_a_typed_error(spoilt: OllamaReplay, at: int, tmp_path: Path) -> None:
    async def scenario() -> None:
        provider = ollama_backend(spoilt.base_url, tmp_path)
        for kind in KINDS:
            spoilt.fault = Fault(kind, at)
            progress, error = await _failing(provider.pull(SMOLLM2, force=False, quantization=None))
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
        requests = [_request(options=SamplingOptions(seed=at)) for at in range(len(_lines(CHAT)))]
        try:
            async with asyncio.timeout(30):
                return await asyncio.gather(*(_failing(turn(provider, one)) for one in requests))
        finally:
            await provider.close()

    with OllamaReplay(CHAT, fault=where) as ollama:
        ended = asyncio.run(scenario(ollama.base_url))
    assert {type(error) for _, error in ended} == {Timeout}
    assert ended[0][1].message == "'smollm2:135m@ollama' was not done after 2 s"
    # The last one had everything but the end.
    assert "".join(chunk.text for chunk in ended[-1][0]).startswith("The sky appears")


def test_a_pull_in_silence_ends_when_the_time_of_a_request_is_over(tmp_path: Path) -> None:
    async def scenario(base_url: str) -> tuple[list[PullProgress], LlmspellError]:
        provider = ollama_backend(base_url, tmp_path, "timeout_seconds = 1\n")
        try:
            return await _failing(provider.pull(SMOLLM2, force=False, quantization=None))
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


def test_a_request_that_failed_before_its_first_line_is_sent_again(tmp_path: Path) -> None:
    with OllamaReplay(CHAT, fault=Fault("cut", 0), faults=2) as ollama:
        chunks, _ = _chat(ollama_backend(ollama.base_url, tmp_path), _request())
        assert [asked.path for asked in ollama.asked].count("/api/chat") == 3
    assert "".join(chunk.text for chunk in chunks).startswith("The sky appears")


def test_a_request_that_failed_after_its_first_line_is_not_sent_again(tmp_path: Path) -> None:
    with OllamaReplay(CHAT, fault=Fault("cut", 1), faults=1) as ollama:
        with pytest.raises(BackendUnavailable):
            _chat(ollama_backend(ollama.base_url, tmp_path), _request())
        assert [asked.path for asked in ollama.asked].count("/api/chat") == 1


@pytest.mark.parametrize(("setting", "attempts"), [("max_retries = 0", 1), ("retry = {max_retries = 1}", 2)])
def test_the_settings_say_how_often(setting: str, attempts: int, tmp_path: Path) -> None:
    with OllamaReplay("190-chat-queue-full") as ollama:
        with pytest.raises(Busy, match="maximum pending requests exceeded"):
            _chat(ollama_backend(ollama.base_url, tmp_path, f"{setting}\n"), _request())
        assert [asked.path for asked in ollama.asked].count("/api/chat") == attempts


def test_a_full_queue_that_has_room_again_is_only_waited_for(tmp_path: Path) -> None:
    with OllamaReplay("190-chat-queue-full", CHAT, in_turn=True) as ollama:
        _, result = _chat(ollama_backend(ollama.base_url, tmp_path), _request(stream=True))
    assert result.message.content


def _beyond_the_limit(ollama: OllamaReplay, directory: Path, limit: str, *requests: ChatRequest) -> None:
    """Checks that all requests but the last are answered, and that the last one is beyond our own limit."""
    *within, beyond = requests

    async def scenario() -> LlmspellError:
        provider = ollama_backend(ollama.base_url, directory, f"rate_limit = {{{limit}, auto_retry = false}}\n")
        for asked in within:
            async for _ in turn(provider, asked):
                pass
        _, error = await _failing(turn(provider, beyond))
        await provider.close()
        return error

    error = asyncio.run(scenario())
    assert type(error) is Busy
    assert "providers.ollama.rate_limit" in error.message


def test_a_limit_of_requests_is_kept_by_ourselves(tmp_path: Path) -> None:
    with OllamaReplay(CHAT) as ollama:
        _beyond_the_limit(ollama, tmp_path, "requests_per_minute = 1", _request(), _request())
        assert [asked.path for asked in ollama.asked].count("/api/chat") == 1


def test_the_limit_of_tokens_counts_what_the_server_counted(tmp_path: Path) -> None:
    # Each may take 512 tokens, and takes 52.
    small, large = (_request(options=SamplingOptions(max_tokens=tokens)) for tokens in (512, 560))
    with OllamaReplay(CHAT) as ollama:
        _beyond_the_limit(ollama, tmp_path, "tokens_per_minute = 600", small, small, large)


@pytest.mark.parametrize(("seconds", "asked"), [(1, 2), (60, 1)])
def test_a_good_answer_is_trusted_as_long_as_the_settings_say(seconds: int, asked: int, tmp_path: Path) -> None:
    now = 0.0

    async def scenario(base_url: str) -> None:
        nonlocal now
        provider = ollama_backend(base_url, tmp_path, f"health_check_interval_seconds = {seconds}\n")
        provider._server._clock = lambda: now
        for moment in (0.0, 30.0):
            now = moment
            async for _ in turn(provider, _request()):
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
        _, error = await _failing(turn(provider, _request()))
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
        hanging = asyncio.create_task(_failing(turn(registry.get("ollama"), _request())))
        mock = registry.get("mock")
        async with asyncio.timeout(20):
            request = _request(model="mock/echo@mock")
            chunks = [chunk async for chunk in turn(mock, request)]
            assert chunks[-1].result is not None
            assert not hanging.done()
            _, error = await hanging
        assert type(error) is BackendUnavailable
        await registry.close()
        server.close()
        await server.wait_closed()

    asyncio.run(scenario())


def test_a_prompt_that_would_be_cut_is_an_error_with_both_numbers(tmp_path: Path) -> None:
    request = _request("word " * 3000, options=SamplingOptions(num_ctx=512))
    with OllamaReplay("114-chat-overlong-truncate-false") as ollama, pytest.raises(ContextLengthExceeded) as caught:
        _chat(ollama_backend(ollama.base_url, tmp_path), request)
    assert (caught.value.details["prompt_tokens"], caught.value.details["limit"]) == (3750, 512)
    assert "about 3750 tokens, and it has 512" in caught.value.message
    assert caught.value.details["estimated"]


def test_the_context_in_the_error_is_that_of_the_loaded_model(tmp_path: Path) -> None:
    replay = OllamaReplay("114-chat-overlong-truncate-false", "050-ps-one")
    with replay as ollama, pytest.raises(ContextLengthExceeded, match="it has 4096") as caught:
        _chat(ollama_backend(ollama.base_url, tmp_path), _request("word " * 3000))
    assert caught.value.details["prompt_tokens"] > caught.value.details["limit"] == 4096


def test_a_caller_may_allow_cutting(tmp_path: Path) -> None:
    with OllamaReplay("113-chat-overlong") as ollama:
        _, result = _chat(ollama_backend(ollama.base_url, tmp_path), _request("word " * 3000, truncate=True))
        assert ollama.asked[-1].body["truncate"] is True
    assert result.usage.prompt_tokens == 512


def test_a_model_that_had_to_go_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def scenario(names: tuple[str, ...], model: str) -> tuple[list[ChatChunk], ChatResult]:
        with OllamaReplay(CHAT, *names, in_turn=True) as ollama:
            return _chat(ollama_backend(ollama.base_url, tmp_path), _request(model=model))

    chunks, result = scenario(("050-ps-one", "010-ps-empty"), "llama3.1:8b")
    assert result.evicted == ["smollm2:135m"]
    assert chunks[0].loading
    assert "ollama unloaded smollm2:135m for llama3.1:8b" in caplog.text
    # Another tag of the same weights takes over what is there.
    _, result = scenario(("050-ps-one", "057-ps-other-tag-same-weights"), "smollm2:copy")
    assert list(result.evicted) == []
    chunks, result = scenario(("050-ps-one", "010-ps-empty"), "smollm2:135m")
    assert list(result.evicted) == []
    assert not chunks[0].loading


def test_a_load_names_the_models_that_had_to_go(tmp_path: Path) -> None:
    async def scenario(base_url: str) -> None:
        provider = ollama_backend(base_url, tmp_path)
        loaded = await provider.load(SMOLLM2, LoadOptions(keep_alive_s=300.0))
        assert loaded.reason.endswith("; Ollama unloaded llama3.1:8b for it")
        await provider.close()

    with OllamaReplay("129-generate-load", "055-ps-keepalive-forever", "050-ps-one", in_turn=True) as ollama:
        ollama.replace("055-ps-keepalive-forever", {"models": [{"name": "llama3.1:8b", "size": 1}]})
        asyncio.run(scenario(ollama.base_url))


def test_another_context_than_the_loaded_one_is_shown_as_loading(tmp_path: Path) -> None:
    with OllamaReplay(CHAT, "050-ps-one") as ollama:
        provider = ollama_backend(ollama.base_url, tmp_path)
        chunks, _ = _chat(provider, _request(options=SamplingOptions(num_ctx=8192)))
    assert chunks[0].loading


def test_images_go_to_a_model_that_sees_as_base64(tmp_path: Path) -> None:
    image = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
    with OllamaReplay(CHAT, "038-show") as ollama:
        shown = json.loads("".join(json.dumps(line) for line in _lines("038-show")))
        ollama.replace("038-show", {**shown, "capabilities": ["completion", "vision"]})
        _chat(ollama_backend(ollama.base_url, tmp_path), _request(images=(image,)))
        import base64

        assert ollama.asked[-1].body["messages"][0]["images"] == [base64.b64encode(image).decode()]


def test_images_for_a_model_that_is_blind_are_refused(tmp_path: Path) -> None:
    with OllamaReplay(CHAT, "038-show") as ollama:
        with pytest.raises(Unsupported, match="can't see images"):
            _chat(ollama_backend(ollama.base_url, tmp_path), _request(images=(b"\x89PNG",)))
        assert "/api/chat" not in [asked.path for asked in ollama.asked]


def test_backends_without_eyes_refuse_images(tmp_path: Path) -> None:
    registry = ProviderRegistry(settings_from("", tmp_path), log_directory=tmp_path, environment={})

    async def scenario() -> LlmspellError:
        _, error = await _failing(turn(registry.get("mock"), _request(model="mock/echo@mock", images=(b"x",))))
        return error

    assert type(asyncio.run(scenario())) is Unsupported


def test_what_the_package_refuses_is_the_caller_s_mistake(tmp_path: Path) -> None:
    tools = [{"type": "function", "function": {"name": 3}}]
    with OllamaReplay(CHAT) as ollama:
        with pytest.raises(InvalidRequest, match=r"function.name"):
            _chat(ollama_backend(ollama.base_url, tmp_path), _request(tools=tools))
        assert "/api/chat" not in [asked.path for asked in ollama.asked]


def test_a_model_process_that_dies_at_once_is_only_a_failed_attempt(tmp_path: Path) -> None:
    with OllamaReplay(CHAT, "159-chat-runner-killed", in_turn=True) as ollama:
        died = {"error": "an error was encountered while running the model: unexpected EOF"}
        ollama.replace(CHAT, died)
        with pytest.raises(ModelError, match="unexpected EOF"):
            _chat(ollama_backend(ollama.base_url, tmp_path), _request())
        # The first was sent again; the second had said something.
        assert [asked.path for asked in ollama.asked].count("/api/chat") == 2


def test_a_key_of_ollama_com_in_the_environment_reaches_no_other_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OLLAMA_API_KEY", "this-must-never-be-sent")
    line = {"model": "m", "message": {"role": "assistant", "content": "Hi"}, "done": True, "done_reason": "stop"}
    listing = answering({"version": "0.24.0", "models": []})
    with ModelServer(answering(line), listing=listing) as server:
        _, result = _chat(ollama_backend(server.base_url.removesuffix("/v1"), tmp_path), _request())
        assert result.message.content == "Hi"
        assert {asked.path for asked in server.asked} >= {"/api/version", "/api/chat"}
        assert not any("authorization" in asked.headers for asked in server.asked)


def test_a_key_of_ollama_com_in_the_environment_is_sent_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_API_KEY", "this-is-for-ollama-com")
    client = uncut_client("https://ollama.com", connect_deadline_s=1.0)
    assert client._client.headers["Authorization"] == "Bearer this-is-for-ollama-com"
    asyncio.run(client.close())  # type: ignore[no-untyped-call]
