"""What Ollama would rather not tell or not refuse: prompts that are cut, models that go, images, a key of its cloud."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from llmspell_protocol.addresses import parse_address
from llmspell_protocol.errors import (
    ContextLengthExceeded,
    LlmspellError,
    Unsupported,
)
from llmspell_protocol.models import (
    ChatChunk,
    ChatResult,
    LoadOptions,
    SamplingOptions,
)
from llmspell_providers.ollama.client import OllamaClient
from llmspell_providers.registry import ProviderRegistry
from llmspell_providers.spec import ModelSpec
from tests.support.chat_turns import turn
from tests.support.model_server import ModelServer, answering
from tests.support.ollama_backend import ollama_backend
from tests.support.ollama_calls import chatted, recorded_lines, request_saying, until_failure
from tests.support.ollama_replay import OllamaReplay
from tests.support.settings import settings_from

CHAT = "064-chat-stream"
SMOLLM2 = ModelSpec.parse("smollm2:135m")


def test_a_prompt_that_would_be_cut_is_an_error_with_both_numbers(tmp_path: Path) -> None:
    request = request_saying("word " * 3000, options=SamplingOptions(num_ctx=512))
    with OllamaReplay("114-chat-overlong-truncate-false") as ollama, pytest.raises(ContextLengthExceeded) as caught:
        chatted(ollama_backend(ollama.base_url, tmp_path), request)
    assert (caught.value.details["prompt_tokens"], caught.value.details["limit"]) == (3750, 512)
    assert "about 3750 tokens, and it has 512" in caught.value.message
    assert caught.value.details["estimated"]


def test_the_context_in_the_error_is_that_of_the_loaded_model(tmp_path: Path) -> None:
    replay = OllamaReplay("114-chat-overlong-truncate-false", "050-ps-one")
    with replay as ollama, pytest.raises(ContextLengthExceeded, match="it has 4096") as caught:
        chatted(ollama_backend(ollama.base_url, tmp_path), request_saying("word " * 3000))
    assert caught.value.details["prompt_tokens"] > caught.value.details["limit"] == 4096


def test_a_caller_may_allow_cutting(tmp_path: Path) -> None:
    with OllamaReplay("113-chat-overlong") as ollama:
        _, result = chatted(ollama_backend(ollama.base_url, tmp_path), request_saying("word " * 3000, truncate=True))
        assert ollama.posted[-1].body["truncate"] is True
    assert result.usage.prompt_tokens == 512


def test_a_model_that_had_to_go_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def scenario(names: tuple[str, ...], model: str) -> tuple[list[ChatChunk], ChatResult]:
        with OllamaReplay(CHAT, *names, in_turn=True) as ollama:
            return chatted(ollama_backend(ollama.base_url, tmp_path), request_saying(model=model))

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
        chunks, _ = chatted(provider, request_saying(options=SamplingOptions(num_ctx=8192)))
    assert chunks[0].loading


def test_images_go_to_a_model_that_sees_as_base64(tmp_path: Path) -> None:
    image = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
    with OllamaReplay(CHAT, "038-show") as ollama:
        shown = json.loads("".join(json.dumps(line) for line in recorded_lines("038-show")))
        ollama.replace("038-show", {**shown, "capabilities": ["completion", "vision"]})
        chatted(ollama_backend(ollama.base_url, tmp_path), request_saying(images=(image,)))
        import base64

        assert ollama.posted[-1].body["messages"][0]["images"] == [base64.b64encode(image).decode()]


def test_images_for_a_model_that_is_blind_are_refused(tmp_path: Path) -> None:
    with OllamaReplay(CHAT, "038-show") as ollama:
        with pytest.raises(Unsupported, match="can't see images"):
            chatted(ollama_backend(ollama.base_url, tmp_path), request_saying(images=(b"\x89PNG",)))
        assert "/api/chat" not in [asked.path for asked in ollama.asked]


def test_backends_without_eyes_refuse_images(tmp_path: Path) -> None:
    registry = ProviderRegistry(settings_from("", tmp_path), log_directory=tmp_path, environment={})

    async def scenario() -> LlmspellError:
        _, error = await until_failure(
            turn(registry.get("mock"), request_saying(model="mock/echo@mock", images=(b"x",)))
        )
        return error

    assert type(asyncio.run(scenario())) is Unsupported


def test_a_key_of_ollama_com_in_the_environment_reaches_no_other_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OLLAMA_API_KEY", "this-must-never-be-sent")
    line = {"model": "m", "message": {"role": "assistant", "content": "Hi"}, "done": True, "done_reason": "stop"}
    listing = answering({"version": "0.24.0", "models": []})
    with ModelServer(answering(line), listing=listing) as server:
        _, result = chatted(ollama_backend(server.base_url.removesuffix("/v1"), tmp_path), request_saying())
        assert result.message.content == "Hi"
        assert {asked.path for asked in server.asked} >= {"/api/version", "/api/chat"}
        assert not any("authorization" in asked.headers for asked in server.asked)


def test_a_key_of_ollama_com_in_the_environment_is_sent_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_API_KEY", "this-is-for-ollama-com")
    client = OllamaClient(parse_address("https://ollama.com"))
    assert client.headers["Authorization"] == "Bearer this-is-for-ollama-com"
    asyncio.run(client.close())
