"""When a request to Ollama is sent again, waits, or is held back by limits of our own."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from llmspell_protocol.errors import (
    BackendUnavailable,
    Busy,
    InvalidRequest,
    LlmspellError,
    ModelError,
)
from llmspell_protocol.models import (
    ChatRequest,
    SamplingOptions,
)
from tests.support.chat_turns import turn
from tests.support.ollama_backend import ollama_backend
from tests.support.ollama_calls import chatted, request_saying, until_failure
from tests.support.ollama_replay import Fault, OllamaReplay

CHAT = "064-chat-stream"


def test_a_request_that_failed_before_its_first_line_is_sent_again(tmp_path: Path) -> None:
    with OllamaReplay(CHAT, fault=Fault("cut", 0), faults=2) as ollama:
        chunks, _ = chatted(ollama_backend(ollama.base_url, tmp_path), request_saying())
        assert [asked.path for asked in ollama.asked].count("/api/chat") == 3
    assert "".join(chunk.text for chunk in chunks).startswith("The sky appears")


def test_a_request_that_failed_after_its_first_line_is_not_sent_again(tmp_path: Path) -> None:
    with OllamaReplay(CHAT, fault=Fault("cut", 1), faults=1) as ollama:
        with pytest.raises(BackendUnavailable):
            chatted(ollama_backend(ollama.base_url, tmp_path), request_saying())
        assert [asked.path for asked in ollama.asked].count("/api/chat") == 1


@pytest.mark.parametrize(("setting", "attempts"), [("max_retries = 0", 1), ("retry = {max_retries = 1}", 2)])
def test_the_settings_say_how_often(setting: str, attempts: int, tmp_path: Path) -> None:
    with OllamaReplay("190-chat-queue-full") as ollama:
        with pytest.raises(Busy, match="maximum pending requests exceeded"):
            chatted(ollama_backend(ollama.base_url, tmp_path, f"{setting}\n"), request_saying())
        assert [asked.path for asked in ollama.asked].count("/api/chat") == attempts


def test_a_full_queue_that_has_room_again_is_only_waited_for(tmp_path: Path) -> None:
    with OllamaReplay("190-chat-queue-full", CHAT, in_turn=True) as ollama:
        _, result = chatted(ollama_backend(ollama.base_url, tmp_path), request_saying(stream=True))
    assert result.message.content


def _beyond_the_limit(ollama: OllamaReplay, directory: Path, limit: str, *requests: ChatRequest) -> None:
    """Checks that all requests but the last are answered, and that the last one is beyond our own limit."""
    *within, beyond = requests

    async def scenario() -> LlmspellError:
        provider = ollama_backend(ollama.base_url, directory, f"rate_limit = {{{limit}, auto_retry = false}}\n")
        for asked in within:
            async for _ in turn(provider, asked):
                pass
        _, error = await until_failure(turn(provider, beyond))
        await provider.close()
        return error

    error = asyncio.run(scenario())
    assert type(error) is Busy
    assert "providers.ollama.rate_limit" in error.message


def test_a_limit_of_requests_is_kept_by_ourselves(tmp_path: Path) -> None:
    with OllamaReplay(CHAT) as ollama:
        _beyond_the_limit(ollama, tmp_path, "requests_per_minute = 1", request_saying(), request_saying())
        assert [asked.path for asked in ollama.asked].count("/api/chat") == 1


def test_the_limit_of_tokens_counts_what_the_server_counted(tmp_path: Path) -> None:
    # Each may take 512 tokens, and takes 52.
    small, large = (request_saying(options=SamplingOptions(max_tokens=tokens)) for tokens in (512, 560))
    with OllamaReplay(CHAT) as ollama:
        _beyond_the_limit(ollama, tmp_path, "tokens_per_minute = 600", small, small, large)


def test_a_tool_without_a_name_is_the_caller_s_mistake(tmp_path: Path) -> None:
    tools = [{"type": "function", "function": {"name": 3}}]
    with OllamaReplay(CHAT) as ollama:
        with pytest.raises(InvalidRequest, match=r"function.name"):
            chatted(ollama_backend(ollama.base_url, tmp_path), request_saying(tools=tools))
        assert "/api/chat" not in [asked.path for asked in ollama.asked]


def test_a_model_process_that_dies_at_once_is_only_a_failed_attempt(tmp_path: Path) -> None:
    with OllamaReplay(CHAT, "159-chat-runner-killed", in_turn=True) as ollama:
        died = {"error": "an error was encountered while running the model: unexpected EOF"}
        ollama.replace(CHAT, died)
        with pytest.raises(ModelError, match="unexpected EOF"):
            chatted(ollama_backend(ollama.base_url, tmp_path), request_saying())
        # The first was sent again; the second had said something.
        assert [asked.path for asked in ollama.asked].count("/api/chat") == 2
