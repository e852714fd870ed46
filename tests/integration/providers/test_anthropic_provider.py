"""Anthropic's Messages interface, against a server on loopback that speaks its documented events."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing
from pathlib import Path
from typing import Any, TypeVar

import pytest

from llmspell_protocol.errors import (
    BackendUnavailable,
    Busy,
    ConfigError,
    ContextLengthExceeded,
    InvalidRequest,
    LlmspellError,
    ModelError,
    ModelNotFound,
    SchemaViolation,
    Timeout,
    Unauthorized,
    Unsupported,
)
from llmspell_protocol.extras import install_command
from llmspell_protocol.models import ChatChunk, ChatMessage, ChatRequest, ChatResult, SamplingOptions, ToolCall
from llmspell_providers.base import Provider
from llmspell_providers.spec import ModelSpec
from tests.support.chat_turns import turn
from tests.support.model_server import Act, ModelServer, answering, failing
from tests.support.remote_asking import play

KEY = "sk-ant-this-must-never-be-shown"
SPEC = ModelSpec.parse("claude@anthropic")
T = TypeVar("T")


def event(kind: str, **fields: Any) -> str:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n"


def begin(**usage: int) -> str:
    counted = {"input_tokens": 7, "output_tokens": 1, **usage}
    message = {"id": "msg", "type": "message", "role": "assistant", "content": [], "model": "claude", "usage": counted}
    return event("message_start", message={**message, "stop_reason": None, "stop_sequence": None})


def block(index: int, content: Mapping[str, Any], *deltas: Mapping[str, Any]) -> list[str]:
    return [
        event("content_block_start", index=index, content_block=dict(content)),
        event("ping"),
        *(event("content_block_delta", index=index, delta=dict(delta)) for delta in deltas),
        event("content_block_stop", index=index),
    ]


def text(index: int, *pieces: str) -> list[str]:
    return block(index, {"type": "text", "text": ""}, *({"type": "text_delta", "text": piece} for piece in pieces))


def end(reason: str, tokens: int = 3) -> list[str]:
    delta = {"stop_reason": reason, "stop_sequence": None}
    return [event("message_delta", delta=delta, usage={"output_tokens": tokens}), event("message_stop")]


def reply(*pieces: str, reason: str = "end_turn") -> Act:
    return Act([begin(), *text(0, *pieces), *end(reason)])


def using(
    home: Path, server: ModelServer, scenario: Callable[[Provider], Awaitable[T]], extra: str = "max_retries = 0\n"
) -> T:
    table = f'[providers.anthropic]\nbase_url = "{server.base_url.removesuffix("/v1")}"\n{extra}'
    return play(home, "anthropic", table, scenario, key=KEY)


def request(said: str = "Hello?", **fields: Any) -> ChatRequest:
    return ChatRequest(**{"model": str(SPEC), "messages": (ChatMessage(role="user", content=said),), **fields})


async def chat(provider: Provider, asked: ChatRequest | None = None) -> tuple[list[ChatChunk], ChatResult]:
    chunks = [one async for one in turn(provider, asked or request())]
    assert chunks[-1].result is not None
    return chunks[:-1], chunks[-1].result


def test_a_reply_streams_with_its_counts(tmp_path: Path) -> None:
    act = Act([begin(cache_read_input_tokens=20), *text(0, "Hel", "lo"), *end("end_turn")])
    with ModelServer(act) as server:
        chunks, result = using(tmp_path, server, chat)
    assert [one.text for one in chunks] == ["Hel", "lo"]
    assert (result.message.content, result.finish_reason, result.backend) == ("Hello", "stop", "anthropic")
    assert (result.usage.prompt_tokens, result.usage.cached_tokens, result.usage.completion_tokens) == (27, 20, 3)
    asked = server.posts[0]
    assert (asked.path, asked.body["max_tokens"]) == ("/v1/messages", 32_000)
    assert asked.headers["authorization"] == f"Bearer {KEY}"
    assert {"temperature", "top_p", "top_k"} & asked.body.keys() == set()


def test_a_conversation_with_tools_is_put_into_its_form(tmp_path: Path) -> None:
    turns = (
        ChatMessage(role="system", content="Be brief."),
        ChatMessage(role="user", content="1 + 1 and 2 + 2?"),
        ChatMessage(
            role="assistant",
            content="I add.",
            tool_calls=(ToolCall(id="a", name="add", arguments={"x": 1}), ToolCall(id="b", name="add")),
        ),
        ChatMessage(role="tool", content="2", tool_call_id="a"),
        ChatMessage(role="tool", content="4", tool_call_id="b"),
    )
    tool = {"type": "function", "function": {"name": "add", "description": "adds", "parameters": {"type": "object"}}}
    options = SamplingOptions(temperature=0.2, top_k=5, max_tokens=9, stop=("end",))
    with ModelServer(reply("2, 4")) as server:
        asked = request(messages=turns, tools=(tool,), tool_choice="required", options=options)
        with pytest.raises(ModelError, match="was to call a tool and answered without a call"):
            using(tmp_path, server, lambda provider: chat(provider, asked))
    body = server.posts[0].body
    assert body["system"] == "Be brief."
    assert [turn["role"] for turn in body["messages"]] == ["user", "assistant", "user"]
    assert [part["type"] for part in body["messages"][1]["content"]] == ["text", "tool_use", "tool_use"]
    assert [part["tool_use_id"] for part in body["messages"][2]["content"]] == ["a", "b"]
    assert body["tools"] == [{"name": "add", "description": "adds", "input_schema": {"type": "object"}}]
    assert body["tool_choice"] == {"type": "any"}
    assert (body["temperature"], body["top_k"], body["max_tokens"], body["stop_sequences"]) == (0.2, 5, 9, ["end"])


def test_thinking_text_and_tool_calls_are_told_apart(tmp_path: Path) -> None:
    thinking = block(0, {"type": "thinking", "thinking": ""}, {"type": "thinking_delta", "thinking": "hm"})
    call = block(
        2,
        {"type": "tool_use", "id": "t", "name": "add", "input": {}},
        {"type": "input_json_delta", "partial_json": '{"x"'},
        {"type": "input_json_delta", "partial_json": ": 1}"},
    )
    with ModelServer(Act([begin(), *thinking, *text(1, "Let me."), *call, *end("tool_use")])) as server:
        _, result = using(tmp_path, server, chat)
    assert (result.message.reasoning, result.message.content, result.finish_reason) == ("hm", "Let me.", "tool_calls")
    assert result.message.tool_calls == (ToolCall(id="t", name="add", arguments={"x": 1}),)


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "context_full"),
    ],
)
def test_the_ends_of_a_reply_are_told_apart(tmp_path: Path, told: str, reason: str) -> None:
    with ModelServer(reply("x", reason=told)) as server:
        assert using(tmp_path, server, chat)[1].finish_reason == reason


def test_a_refusal_is_an_error_with_what_had_come(tmp_path: Path) -> None:
    with ModelServer(reply("I can", reason="refusal")) as server, pytest.raises(ModelError) as caught:
        using(tmp_path, server, chat)
    assert caught.value.details["text"] == "I can"


def test_a_schema_is_sent_and_the_reply_held_against_it(tmp_path: Path) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    with ModelServer(reply('{"n": 1}'), reply('{"n": "1"}')) as server:
        asked = request(schema=schema)
        assert using(tmp_path, server, lambda provider: chat(provider, asked))[1].message.content == '{"n": 1}'
        with pytest.raises(SchemaViolation):
            using(tmp_path, server, lambda provider: chat(provider, asked))
    sent = server.posts[0].body["output_config"]["format"]
    assert (sent["type"], sent["schema"]["required"]) == ("json_schema", ["n"])


def test_sampling_that_the_settings_ask_for_and_a_model_refuses_is_left_out(tmp_path: Path) -> None:
    refusal = failing(
        400, {"type": "error", "error": {"type": "invalid_request_error", "message": "temperature: not supported"}}
    )
    with ModelServer(refusal, reply("ok")) as server:
        using(tmp_path, server, chat, "temperature = 0.7\n")
    assert ["temperature" in asked.body for asked in server.posts] == [True, False]


def error_body(kind: str, message: str = "no") -> dict[str, Any]:
    return {"type": "error", "error": {"type": kind, "message": message}}


@pytest.mark.parametrize(
    ("act", "kind"),
    [
        (failing(401, error_body("authentication_error", f"invalid x-api-key {KEY}")), Unauthorized),
        (failing(404, error_body("not_found_error", "model: claude")), ModelNotFound),
        (failing(400, error_body("invalid_request_error", "no such thing")), InvalidRequest),
        (
            failing(400, error_body("invalid_request_error", "prompt is too long: 9 tokens > 8 maximum")),
            ContextLengthExceeded,
        ),
        (failing(429, error_body("rate_limit_error")), Busy),
        (failing(529, error_body("overloaded_error")), Busy),
        (failing(500, error_body("api_error")), BackendUnavailable),
        (Act([begin(), event("error", error={"type": "overloaded_error", "message": "Overloaded"})]), Busy),
        (Act([begin(), event("error", error={"type": "api_error", "message": KEY})]), BackendUnavailable),
        (Act([begin(), *text(0, "half")], then="cut"), BackendUnavailable),
        (Act([begin(), *text(0, "half")]), BackendUnavailable),
        (Act(["event: message_start\ndata: {no json\n\n"]), BackendUnavailable),
        (Act(("<html>",), 200, {"Content-Type": "text/html"}), BackendUnavailable),
    ],
)
def test_each_failure_has_its_own_error_and_never_shows_the_key(
    tmp_path: Path, act: Act, kind: type[LlmspellError]
) -> None:
    with ModelServer(act) as server, pytest.raises(LlmspellError) as caught:
        using(tmp_path, server, chat)
    assert type(caught.value) is kind
    assert KEY not in f"{caught.value.message} {caught.value.hint} {caught.value.details}"


def test_a_server_that_goes_silent_is_a_timeout(tmp_path: Path) -> None:
    with ModelServer(Act([begin()], then="hang")) as server, pytest.raises(Timeout):
        using(tmp_path, server, chat, "timeout_seconds = 1\n")


def test_closing_a_reply_closes_the_stream_at_the_server(tmp_path: Path) -> None:
    async def leave_after_one(provider: Provider) -> bool:
        async with aclosing(turn(provider, request())) as chunks:
            await anext(chunks)
        return await asyncio.to_thread(server.closed_by_client.wait, 10)

    with ModelServer(Act([begin(), *text(0, "a")], then="hang")) as server:
        assert using(tmp_path, server, leave_after_one)


def test_busy_is_repeated_after_the_server_s_own_pause(tmp_path: Path) -> None:
    limited = failing(429, error_body("rate_limit_error"), Retry_After="0")
    with ModelServer(limited, reply("ok")) as server:
        assert using(tmp_path, server, chat, "")[1].message.content == "ok"


def test_models_are_listed_and_health_runs_none(tmp_path: Path) -> None:
    listed = {"type": "model", "id": "claude", "display_name": "C", "created_at": "2026-01-01T00:00:00Z"}
    listing = answering({"data": [{**listed, "max_input_tokens": 200000}], "has_more": False, "first_id": "claude"})

    async def look(provider: Provider) -> None:
        health = await provider.health()
        assert (health.ready, health.available_models) == (True, 1)
        assert [model.id for model in await provider.list_models()] == ["claude"]
        assert (await provider.info(SPEC)).context_length == 200000

    with ModelServer(reply("x"), listing=listing) as server:
        using(tmp_path, server, look)
    assert server.posts == []
    assert server.asked[0].path == "/v1/models"
    assert server.asked[0].headers["authorization"] == f"Bearer {KEY}"


def test_what_the_interface_lacks_is_unsupported(tmp_path: Path) -> None:
    async def ask(provider: Provider) -> None:
        with pytest.raises(Unsupported, match="'embed'"):
            await provider.embed(SPEC, ["a"], normalize=True, client="me")
        with pytest.raises(Unsupported, match="'tokenize'"):
            await provider.tokenize(SPEC, "a")
        with pytest.raises(Unsupported, match="'raw'"):
            await chat(provider, request(messages=(), prompt="x", raw=True))
        with pytest.raises(Unsupported, match="'seed'"):
            await chat(provider, request(options=SamplingOptions(seed=1)))

    with ModelServer(reply("x")) as server:
        using(tmp_path, server, ask)


def test_a_package_that_is_missing_is_told_with_the_line_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "anthropic", None)
    with ModelServer(reply("x")) as server, pytest.raises(ConfigError) as caught:
        using(tmp_path, server, chat)
    assert caught.value.hint == install_command("anthropic")


def test_images_are_blocks_before_what_is_said_and_in_a_tools_result(tmp_path: Path) -> None:
    png, jpeg = b"\x89PNG\r\n\x1a\n" + bytes(range(64)), b"\xff\xd8\xff\xe0" + bytes(64)
    turns = (
        ChatMessage(role="user", content="What is this?", images=(png,)),
        ChatMessage(role="assistant", tool_calls=(ToolCall(id="a", name="zoom"),)),
        ChatMessage(role="tool", content="closer", tool_call_id="a", images=(jpeg,)),
    )
    with ModelServer(reply("A cat.")) as server:
        using(tmp_path, server, lambda provider: chat(provider, request(messages=turns)))

    def shown(kind: str, data: bytes) -> dict[str, Any]:
        source = {"type": "base64", "media_type": kind, "data": base64.b64encode(data).decode()}
        return {"type": "image", "source": source}

    first, _, third = server.posts[0].body["messages"]
    assert first["content"] == [shown("image/png", png), {"type": "text", "text": "What is this?"}]
    (result,) = third["content"]
    assert result["content"] == [shown("image/jpeg", jpeg), {"type": "text", "text": "closer"}]
