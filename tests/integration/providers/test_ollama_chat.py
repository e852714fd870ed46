"""Chats with Ollama, as a real server chatted them: streams, options, tools, schemas, thinking, and typed errors."""

from __future__ import annotations

import asyncio
import json
import threading
from contextlib import aclosing
from pathlib import Path

import pytest

from llmspell_protocol.errors import (
    BackendUnavailable,
    Busy,
    ContextLengthExceeded,
    Forbidden,
    LlmspellError,
    ModelError,
    ModelNotFound,
    Unauthorized,
    Unsupported,
    WorkerCrashed,
)
from llmspell_protocol.models import (
    ChatMessage,
    ChatRequest,
    SamplingOptions,
    ToolCall,
)
from llmspell_providers.ollama.provider import OllamaProvider
from llmspell_providers.spec import ModelSpec
from tests.support.chat_turns import turn
from tests.support.ollama_backend import ollama_backend
from tests.support.ollama_calls import HI, answer_of, request_to
from tests.support.ollama_replay import RECORDINGS, OllamaReplay

SMOLLM2 = ModelSpec.parse("smollm2:135m")
CLOSED_PORT = "http://127.0.0.1:9"


def test_a_chat_streams_and_ends_with_counts_and_times(tmp_path: Path) -> None:
    with OllamaReplay("064-chat-stream") as ollama:
        request = request_to(options=SamplingOptions(max_tokens=32, temperature=0.0, seed=1))
        chunks, result = asyncio.run(answer_of(ollama_backend(ollama.base_url, tmp_path), request))
        body = ollama.posted[-1].body
    assert [chunk.text for chunk in chunks][:3] == ["The", " sky", " appears"]
    assert result.message.content == "".join(chunk.text for chunk in chunks)
    assert (result.usage.prompt_tokens, result.usage.completion_tokens) == (20, 32)
    assert result.finish_reason == "length"
    assert result.timings.decode_ms == pytest.approx(458.8, abs=0.1)
    assert result.timings.tokens_per_second == pytest.approx(32 / 0.4588, rel=0.01)
    assert result.timings.first_token_ms is not None
    last = json.loads((RECORDINGS / "064-chat-stream.json").read_text())["response"]["chunks"][-1]["data"]
    parts = {name: ns / 1e6 for name, ns in json.loads(last).items() if name.endswith("_duration")}
    assert result.timings.load_ms == pytest.approx(parts["load_duration"])
    assert result.timings.prefill_ms == pytest.approx(parts["prompt_eval_duration"])
    # What the server says of no part of its time was spent in its queue.
    queue_ms = 2 * parts["total_duration"] - sum(parts.values())
    assert result.timings.queue_ms == pytest.approx(queue_ms)
    assert queue_ms > 0
    assert (result.model, result.backend) == ("smollm2:135m", "ollama")
    # What nobody set is the model's own: its file may have parameters.
    assert body["options"] == {"temperature": 0.0, "seed": 1, "num_predict": 32}
    # A prompt or reply that does not fit must never be cut without a word.
    assert body["truncate"] is False
    assert body["shift"] is False


def test_options_that_only_ollama_knows_come_from_the_settings(tmp_path: Path) -> None:
    with OllamaReplay("064-chat-stream") as ollama:
        asyncio.run(
            answer_of(ollama_backend(ollama.base_url, tmp_path, "mirostat = 2\nstop = ['END']\n"), request_to())
        )
        options = ollama.posted[-1].body["options"]
    assert options == {"mirostat": 2, "stop": ["END"]}


def test_the_end_of_the_context_is_told_from_max_tokens(tmp_path: Path) -> None:
    with OllamaReplay("116-chat-shift-false") as ollama:
        _, result = asyncio.run(answer_of(ollama_backend(ollama.base_url, tmp_path), request_to()))
    assert result.finish_reason == "context_full"


def test_one_token_has_no_rate(tmp_path: Path) -> None:
    with OllamaReplay("073-chat-num-predict-1") as ollama:
        request = request_to(options=SamplingOptions(max_tokens=1))
        _, result = asyncio.run(answer_of(ollama_backend(ollama.base_url, tmp_path), request))
    assert result.finish_reason == "length"
    assert result.timings.tokens_per_second is None


def test_tool_calls_come_as_such(tmp_path: Path) -> None:
    weather = {"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object"}}}
    with OllamaReplay("101-chat-tool-call-two") as ollama:
        request = request_to("smollm2:tools", tools=[weather])
        chunks, result = asyncio.run(answer_of(ollama_backend(ollama.base_url, tmp_path), request))
    assert [call.name for chunk in chunks for call in chunk.tool_calls] == [
        call.name for call in result.message.tool_calls
    ]
    assert len({call.id for call in result.message.tool_calls}) == 2
    assert result.finish_reason == "tool_calls"


def test_a_demand_for_a_tool_call_is_refused_because_ollama_would_ignore_it(tmp_path: Path) -> None:
    request = request_to(tools=[{"function": {"name": "f"}}], tool_choice="required")
    with OllamaReplay() as ollama, pytest.raises(Unsupported, match="'tool_choice'"):
        asyncio.run(answer_of(ollama_backend(ollama.base_url, tmp_path), request))


def test_thinking_is_reasoning(tmp_path: Path) -> None:
    with OllamaReplay("109-chat-thinking") as ollama:
        chunks, result = asyncio.run(answer_of(ollama_backend(ollama.base_url, tmp_path), request_to()))
    assert result.message.reasoning == "".join(chunk.reasoning for chunk in chunks) != ""


def test_a_schema_is_passed_on_and_the_reply_checked(tmp_path: Path) -> None:
    schema = {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]}
    with OllamaReplay("064-chat-stream") as ollama:
        with pytest.raises(ModelError) as caught:
            asyncio.run(answer_of(ollama_backend(ollama.base_url, tmp_path), request_to(schema=schema)))
        assert ollama.posted[-1].body["format"] == schema
    assert caught.value.code == "schema_violation"


def test_a_schema_with_a_word_that_ollama_would_ignore_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    schema = {"type": "array", "items": {"type": "integer"}, "uniqueItems": True}
    with OllamaReplay("064-chat-stream") as ollama:
        with pytest.raises(LlmspellError) as caught:
            asyncio.run(answer_of(ollama_backend(ollama.base_url, tmp_path), request_to(schema=schema)))
        assert ollama.asked == []
    assert caught.value.code == "schema_unsupported"


def test_a_conversation_with_tools_is_put_into_ollama_s_form(tmp_path: Path) -> None:
    weather = {"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object"}}}
    call = ToolCall(id="call_0", name="get_weather", arguments={"city": "Paris"})
    turns = (
        *HI,
        ChatMessage(role="assistant", content="", reasoning="I should look.", tool_calls=(call,)),
        ChatMessage(role="tool", content="rain", tool_call_id="call_0", name="get_weather"),
    )
    bodies = []
    for choice in ("auto", "none"):
        with OllamaReplay("064-chat-stream") as ollama:
            request = request_to(messages=turns, tools=[weather], tool_choice=choice)
            asyncio.run(answer_of(ollama_backend(ollama.base_url, tmp_path), request))
            bodies.append(ollama.posted[-1].body)
    [_, asked, answered] = bodies[0]["messages"]
    assert asked["thinking"] == "I should look."
    assert asked["tool_calls"] == [{"function": {"name": "get_weather", "arguments": {"city": "Paris"}}}]
    assert (answered["role"], answered["content"], answered["tool_name"]) == ("tool", "rain", "get_weather")
    assert [tool["function"]["name"] for tool in bodies[0]["tools"]] == ["get_weather"]
    # "none": the model is not told of any tool.
    assert not bodies[1].get("tools")


def test_a_raw_prompt_goes_past_the_template(tmp_path: Path) -> None:
    with OllamaReplay("122-generate-raw") as ollama:
        request = ChatRequest(model="smollm2:135m", prompt="Once", raw=True)
        chunks, result = asyncio.run(answer_of(ollama_backend(ollama.base_url, tmp_path), request))
        assert ollama.posted[-1].path == "/api/generate"
        assert ollama.posted[-1].body["raw"] is True
    assert result.message.content == "".join(chunk.text for chunk in chunks) != ""


def test_what_a_model_thinks_over_a_raw_prompt_is_told_from_its_text(tmp_path: Path) -> None:
    lines: list[dict[str, object]] = [
        {"model": "smollm2:think", "thinking": "Let me ", "response": "", "done": False},
        {"model": "smollm2:think", "thinking": "see.", "response": "", "done": False},
        {"model": "smollm2:think", "response": "Six.", "done": False},
        {"model": "smollm2:think", "response": "", "done": True, "done_reason": "stop", "eval_count": 5},
    ]
    with OllamaReplay("122-generate-raw") as ollama:
        ollama.replace("122-generate-raw", *lines)
        request = ChatRequest(model="smollm2:think", prompt="5 + 1?", raw=True)
        chunks, result = asyncio.run(answer_of(ollama_backend(ollama.base_url, tmp_path), request))
    pieces = [(chunk.reasoning, chunk.text) for chunk in chunks if chunk.reasoning or chunk.text]
    assert pieces == [("Let me ", ""), ("see.", ""), ("", "Six.")]
    assert (result.message.reasoning, result.message.content) == ("Let me see.", "Six.")


@pytest.mark.parametrize(
    ("recording", "kind", "said"),
    [
        ("092-chat-missing-model", ModelNotFound, "not found"),
        ("114-chat-overlong-truncate-false", ContextLengthExceeded, "longer than the context"),
        ("098-chat-tools-unsupported", Unsupported, "does not support tools"),
        ("190-chat-queue-full", Busy, "maximum pending requests exceeded"),
        ("159-chat-runner-killed", WorkerCrashed, "an error was encountered while running the model"),
    ],
)
def test_errors_of_a_chat_are_typed(recording: str, kind: type[LlmspellError], said: str, tmp_path: Path) -> None:
    with OllamaReplay(recording) as ollama, pytest.raises(kind, match=said) as caught:
        asyncio.run(answer_of(ollama_backend(ollama.base_url, tmp_path), request_to()))
    assert type(caught.value) is kind


@pytest.mark.parametrize(
    ("status", "said", "kind", "words"),
    [
        (429, "you've reached your hourly usage limit", Busy, "ollama is busy: you've reached your hourly usage limit"),
        (429, "", Busy, "ollama is busy: status 429"),
        (503, "", Busy, "ollama is busy: status 503"),
        (401, "unauthorized", Unauthorized, "ollama does not accept the credentials: unauthorized"),
        (403, "", Forbidden, "ollama refuses: forbidden"),
    ],
)
def test_what_its_cloud_or_a_proxy_before_it_says_is_typed_too(
    status: int, said: str, kind: type[LlmspellError], words: str, tmp_path: Path
) -> None:
    async def embed(provider: OllamaProvider) -> None:
        try:
            await provider.embed(SMOLLM2, ["x"], normalize=True, client="me")
        finally:
            await provider.close()

    with OllamaReplay("064-chat-stream", "130-embed-one") as ollama:
        for recording in ("064-chat-stream", "130-embed-one"):
            ollama.replace(recording, {"error": said}, status=status)
        for ask in (lambda provider: answer_of(provider, request_to()), embed):
            with pytest.raises(kind) as caught:
                asyncio.run(ask(ollama_backend(ollama.base_url, tmp_path)))
            assert type(caught.value) is kind
            assert (caught.value.message, caught.value.details["status"]) == (words, status)
            assert caught.value.retryable == (kind is Busy)


def test_a_chat_with_a_daemon_that_is_down_names_address_and_reason_at_once(tmp_path: Path) -> None:
    # A server that is down does not come back by itself: no back-off of this length is waited for.
    slow = "retry = {initial_delay_ms = 60000, max_delay_ms = 60000}\n"
    with pytest.raises(BackendUnavailable, match=r"127\.0\.0\.1:9 \(connection refused\)") as caught:
        asyncio.run(asyncio.wait_for(answer_of(ollama_backend(CLOSED_PORT, tmp_path, slow), request_to()), 20))
    assert not caught.value.retryable


def test_closing_a_stream_closes_the_connection(tmp_path: Path) -> None:
    async def scenario(provider: OllamaProvider, held: threading.Event) -> None:
        async with aclosing(turn(provider, request_to())) as chunks:
            await anext(chunks)
            assert await asyncio.to_thread(held.wait, 60)
        await provider.close()

    with OllamaReplay("064-chat-stream", hold_after=5) as ollama:
        asyncio.run(scenario(ollama_backend(ollama.base_url, tmp_path), ollama.held))
        ollama.release()
        assert ollama.closed_by_client.wait(60)
