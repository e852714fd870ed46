"""What tests ask the Ollama backend for, and what comes of it: an answer, a failure, a pull's progress."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from llmspell_protocol.errors import LlmspellError
from llmspell_protocol.models import ChatChunk, ChatMessage, ChatRequest, ChatResult
from llmspell_protocol.pulls import PullProgress
from llmspell_providers.ollama.provider import OllamaProvider
from llmspell_providers.spec import ModelSpec
from tests.support.chat_turns import turn
from tests.support.ollama_replay import RECORDINGS

HI = (ChatMessage(role="user", content="Hi"),)


async def answer_of(provider: OllamaProvider, request: ChatRequest) -> tuple[list[ChatChunk], ChatResult]:
    """The pieces and the end of one chat; closes the backend."""
    try:
        chunks = [chunk async for chunk in turn(provider, request)]
    finally:
        await provider.close()
    assert chunks[-1].result is not None
    return chunks[:-1], chunks[-1].result


def request_to(model: str = "smollm2:135m", **fields: object) -> ChatRequest:
    return ChatRequest(**{"model": model, "messages": HI, **fields})  # type: ignore[arg-type]


async def progress_of(provider: OllamaProvider, name: str) -> list[PullProgress]:
    """All that one pull tells; closes the backend."""
    spec = ModelSpec.parse(name)
    try:
        return [one async for one in provider.pull(spec, force=False, quantization=None)]
    finally:
        await provider.close()


def recorded_lines(name: str) -> list[Any]:
    """The lines of a recorded stream."""
    chunks = json.loads((RECORDINGS / f"{name}.json").read_text())["response"]["chunks"]
    return [json.loads(chunk["data"]) for chunk in chunks]


def request_saying(text: str = "Hi", **fields: Any) -> ChatRequest:
    messages = (ChatMessage(role="user", content=text, images=fields.pop("images", ())),)
    return ChatRequest(**{"model": "smollm2:135m", "messages": messages, **fields})


async def until_failure(chunks: Any) -> tuple[list[Any], LlmspellError]:
    """What came before the error, and the error."""
    come: list[Any] = []
    try:
        while True:
            come.append(await anext(chunks))
    except LlmspellError as error:
        return come, error


def chatted(provider: OllamaProvider, request: ChatRequest) -> tuple[list[ChatChunk], ChatResult]:
    """The same as `answer_of`, for a test without a loop."""
    return asyncio.run(answer_of(provider, request))
