"""Asking a remote provider of one's own servers: what a chat with them comes to, or fails with."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest

from llmspell_protocol.errors import (
    LlmspellError,
)
from llmspell_protocol.models import (
    ChatChunk,
    ChatMessage,
    ChatRequest,
    ChatResult,
)
from llmspell_providers.base import Provider
from llmspell_providers.registry import ProviderRegistry
from llmspell_providers.spec import ModelSpec
from tests.support.chat_turns import turn
from tests.support.model_server import Act, ModelServer
from tests.support.settings import settings_from

KEY = "sk-this-must-never-be-shown"
QUICK = "retry = { initial_delay_ms = 1, max_delay_ms = 2 }\n"
SPEC = ModelSpec.parse("m@box")
T = TypeVar("T")


def play(home: Path, name: str, table: str, scenario: Callable[[Provider], Awaitable[T]], *, key: str | None) -> T:
    """What a scenario returns that is played with the provider of a table; `key` is what the key store has."""

    async def played() -> T:
        registry = ProviderRegistry(
            settings_from(table, home), log_directory=home, environment={}, find_key=lambda name, table: key
        )
        try:
            async with asyncio.timeout(60):
                return await scenario(registry.get(name))
        finally:
            await registry.close()

    return asyncio.run(played())


def using(
    home: Path, urls: list[str], scenario: Callable[[Provider], Awaitable[T]], extra: str = QUICK, key: str | None = KEY
) -> T:
    """The same with one's own servers at these addresses."""
    table = f'[providers.box]\nprovider_type = "openai"\nbase_urls = {json.dumps(urls)}\n{extra}'
    return play(home, "box", table, scenario, key=key)


def request(text: str = "Hello?", **fields: Any) -> ChatRequest:
    return ChatRequest(**{"model": str(SPEC), "messages": (ChatMessage(role="user", content=text),), **fields})


async def chat(provider: Provider, asked: ChatRequest | None = None) -> tuple[list[ChatChunk], ChatResult]:
    chunks = [one async for one in turn(provider, asked or request())]
    assert chunks[-1].result is not None
    return chunks[:-1], chunks[-1].result


def result_of(home: Path, server: ModelServer, asked: ChatRequest | None = None, extra: str = QUICK) -> ChatResult:
    return using(home, [server.base_url], lambda provider: chat(provider, asked), extra)[1]


def failure_of(
    home: Path, *acts: Act, extra: str = "max_retries = 0\n", asked: ChatRequest | None = None
) -> LlmspellError:
    with ModelServer(*acts) as server, pytest.raises(LlmspellError) as caught:
        result_of(home, server, asked, extra)
    shown = f"{caught.value.message} {caught.value.hint} {caught.value.details}"
    assert KEY not in shown
    return caught.value
