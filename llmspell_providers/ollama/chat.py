"""One chat with an Ollama daemon: what it is asked, and its lines as our chunks.

A request that fails before its first line is sent again; after that it is an error.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from llmspell_protocol.errors import ContextLengthExceeded
from llmspell_protocol.models import ChatChunk, ChatMessage, ChatRequest
from llmspell_providers.capabilities import unsupported
from llmspell_providers.http.attempts import USUAL_REPLY_TOKENS
from llmspell_providers.http.fields import items
from llmspell_providers.ollama import content
from llmspell_providers.ollama.calls import OllamaCalls
from llmspell_providers.ollama.memory import holds
from llmspell_providers.ollama.reply import OllamaReply
from llmspell_providers.token_estimate import estimated_prompt_tokens

if TYPE_CHECKING:
    from llmspell_providers.ollama.client import OllamaClient


async def chatted(
    calls: OllamaCalls, name: str, request: ChatRequest, options: Mapping[str, Any], *, backend: str
) -> AsyncGenerator[ChatChunk, None]:
    """Streams a reply of the model `name`; `options` are Ollama's."""
    await calls.server.ready()
    if any(turn.images for turn in request.messages):
        await _check_sight(calls, name, backend)
    before = await calls.memory.residents()
    if before is not None and not holds(before, name, options.get("num_ctx")):
        yield ChatChunk(loading=True)
    deadline = calls.deadline(name)

    async def open_stream(client: OllamaClient) -> tuple[AsyncGenerator[Any, None], Any]:
        return await _opened(await _ask(client, name, request, options))

    tokens = estimated_prompt_tokens(request) + (_limit(options) or USUAL_REPLY_TOKENS)
    try:
        (lines, line), spent = await calls.attempt(name, open_stream, deadline, tokens=tokens)
    except ContextLengthExceeded:
        raise await calls.too_long(name, options.get("num_ctx"), estimated_prompt_tokens(request)) from None
    gone = asyncio.create_task(calls.memory.gone(before, name))
    reply = OllamaReply()
    try:
        async with aclosing(lines):
            while line is not None:
                with calls.server.failures(calls.said(name)):
                    chunk = reply.take(line)
                if chunk is not None:
                    yield chunk
                line = await calls.next(lines, deadline, name)
        if not reply.complete:
            raise calls.server.unavailable("the stream ended in the middle of the reply")
        if (rest := reply.rest()) is not None:
            yield rest
        evicted = await gone
        with calls.server.failures(calls.said(name)):
            limit = _limit(options)
            context_size = await _context_size(calls, name, options) if reply.fell_short_of(limit) else None
            result = reply.result(name, backend=backend, max_tokens=limit, context_size=context_size, evicted=evicted)
    finally:
        gone.cancel()
    if spent is not None:
        spent.tokens = result.usage.prompt_tokens + result.usage.completion_tokens
    yield ChatChunk(result=result)


def _limit(options: Mapping[str, Any]) -> int | None:
    """How long the reply may be, in tokens; Ollama's own words for no limit are negative."""
    limit = options.get("num_predict")
    return limit if isinstance(limit, int) and limit > 0 else None


async def _context_size(calls: OllamaCalls, name: str, options: Mapping[str, Any]) -> int | None:
    """The context of a reply that was cut: Ollama says no more than that it was."""
    wanted = options.get("num_ctx")
    return wanted if isinstance(wanted, int) else await calls.memory.context_length(name)


async def _ask(
    client: OllamaClient, name: str, request: ChatRequest, options: Mapping[str, Any]
) -> AsyncGenerator[Any, None]:
    body: dict[str, Any] = {
        "model": name,
        "options": dict(options),
        "format": None if request.schema is None else dict(request.schema),
        # Without these a server shortens prompts that are too long and answers as if nothing had happened.
        "truncate": request.truncate,
        "shift": False,
    }
    if request.raw:
        return await client.lines("/api/generate", {**body, "prompt": request.prompt or "", "raw": True})
    turns = request.messages or (ChatMessage(role="user", content=request.prompt or ""),)
    tools = [content.tool_content(tool) for tool in request.tools]
    said = {
        "messages": [content.message_content(turn) for turn in turns],
        "tools": tools if tools and request.tool_choice != "none" else None,
        "think": request.think,
    }
    return await client.lines("/api/chat", {**body, **said})


async def _check_sight(calls: OllamaCalls, name: str, backend: str) -> None:
    shown = await calls.answer(name, lambda client: client.ask("/api/show", {"model": name}))
    if "vision" not in items(shown.get("capabilities"), "capabilities"):
        why = f"'{name}' can't see images, and would be asked without them"
        refusal = unsupported("images", backend, why)
        refusal.hint = "llmspell model info NAME shows 'vision' for a model that can"
        refusal.details["model"] = name
        raise refusal


async def _opened(lines: AsyncGenerator[Any, None]) -> tuple[AsyncGenerator[Any, None], Any]:
    """A stream whose first line is there: a server that fails before that has said nothing yet."""
    try:
        return lines, await anext(lines, None)
    except BaseException:
        await lines.aclose()
        raise
