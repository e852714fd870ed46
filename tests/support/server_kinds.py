"""The three kinds of model servers, each as a whole reply in its own form and a provider that asks for it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

from llmspell_protocol.errors import LlmspellError
from llmspell_protocol.models import ChatMessage, ChatRequest, ChatResult
from llmspell_providers.base import Provider
from llmspell_providers.registry import ProviderRegistry
from tests.support.chat_turns import turn
from tests.support.raw_http import Plan, RawAsked, http
from tests.support.settings import settings_from

ServerKind = Literal["openai", "anthropic", "ollama"]
SERVER_KINDS: tuple[ServerKind, ...] = get_args(ServerKind)
SECRET = "sk-this-must-never-be-shown"
SAID = "Hello there"
T = TypeVar("T")

_OPENAI: list[dict[str, Any]] = [
    {"id": "c", "choices": [{"index": 0, "delta": {"role": "assistant", "content": "Hello"}, "finish_reason": None}]},
    {"id": "c", "choices": [{"index": 0, "delta": {"content": " there"}, "finish_reason": None}]},
    {"id": "c", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
    {"id": "c", "choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 2}},
]
_ANTHROPIC: list[dict[str, Any]] = [
    {"type": "message_start", "message": {"id": "m", "role": "assistant", "usage": {"input_tokens": 5}}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hello"}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": " there"}},
    {"type": "content_block_stop", "index": 0},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}},
    {"type": "message_stop"},
]
_OLLAMA: list[dict[str, Any]] = [
    {"model": "m", "message": {"role": "assistant", "content": "Hello"}, "done": False},
    {"model": "m", "message": {"role": "assistant", "content": " there"}, "done": False},
    {
        "model": "m",
        "message": {"role": "assistant", "content": ""},
        "done": True,
        "done_reason": "stop",
        "prompt_eval_count": 5,
        "eval_count": 2,
        "total_duration": 9_000_000,
        "eval_duration": 4_000_000,
    },
]
EVENTS: dict[ServerKind, list[dict[str, Any]]] = {"openai": _OPENAI, "anthropic": _ANTHROPIC, "ollama": _OLLAMA}
LISTS: dict[str, Any] = {
    "/v1/models": {"object": "list", "data": [{"id": "m"}], "has_more": False},
    "/api/version": {"version": "0.24.0"},
    "/api/tags": {"models": [{"name": "m:latest", "model": "m:latest", "size": 1, "details": {}}]},
    "/api/ps": {"models": []},
}


def stream(kind: ServerKind, events: Sequence[Any]) -> bytes:
    """Events or lines as the bytes of a body."""
    if kind == "ollama":
        return b"".join(json.dumps(one, ensure_ascii=False).encode() + b"\n" for one in events)
    named = kind == "anthropic"
    body = b"".join(
        (f"event: {one['type']}\n".encode() if named and isinstance(one, dict) and "type" in one else b"")
        + b"data: "
        + json.dumps(one, ensure_ascii=False).encode()
        + b"\n\n"
        for one in events
    )
    return body if named else body + b"data: [DONE]\n\n"


def whole_reply(kind: ServerKind) -> bytes:
    """The body of a reply that says `SAID`."""
    return stream(kind, EVENTS[kind])


def answering_posts(answer: Callable[[RawAsked], Plan] | Plan) -> Callable[[RawAsked], Plan]:
    """A plan that answers lists as they should be, and everything else as it is told."""

    def plan(asked: RawAsked) -> Plan:
        path = asked.path.partition("?")[0]
        if asked.method == "GET" and path in LISTS:
            return (http(json.dumps(LISTS[path]).encode(), "Content-Type: application/json"),)
        return answer(asked) if callable(answer) else answer

    return plan


def with_provider(
    kind: ServerKind, origin: str, home: Path, scenario: Callable[[Provider], Awaitable[T]], *, seconds: int = 5
) -> T:
    """What a scenario returns with a provider of this kind for a server; nothing is tried twice."""
    base_url = origin if kind == "ollama" else f"{origin}/v1"
    table = f'[providers.{kind}]\nbase_url = "{base_url}"\nmax_retries = 0\ntimeout_seconds = {seconds}\n'

    async def played() -> T:
        registry = ProviderRegistry(
            settings_from(table, home), log_directory=home, environment={}, find_key=lambda *_: SECRET
        )
        try:
            async with asyncio.timeout(seconds + 20):
                return await scenario(registry.get(kind))
        finally:
            await registry.close()

    return asyncio.run(played())


async def chat_with(provider: Provider) -> ChatResult | LlmspellError:
    """What a chat comes to: its result, or its error, which shows no key."""
    request = ChatRequest(model=f"m@{provider.name}", messages=(ChatMessage(role="user", content="Hello?"),))
    try:
        chunks = [one async for one in turn(provider, request)]
    except LlmspellError as error:
        return _without_secret(error)
    assert chunks[-1].result is not None
    assert "".join(chunk.text for chunk in chunks) == chunks[-1].result.message.content
    return chunks[-1].result


def _without_secret(error: LlmspellError) -> LlmspellError:
    assert SECRET not in f"{error.message} {error.hint} {error.details}"
    return error
