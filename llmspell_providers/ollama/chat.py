"""One chat with an Ollama daemon: what it is asked, and its lines as our chunks.

A request that fails before its first line is sent again; after that it is an error.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from llmspell_protocol.errors import ContextLengthExceeded, InvalidRequest
from llmspell_protocol.models import ChatChunk, ChatMessage, ChatRequest
from llmspell_providers.capabilities import unsupported
from llmspell_providers.ollama import content
from llmspell_providers.ollama.calls import OllamaCalls
from llmspell_providers.ollama.memory import holds
from llmspell_providers.ollama.reply import OllamaReply
from llmspell_providers.token_estimate import estimated_prompt_tokens

if TYPE_CHECKING:
    from ollama import AsyncClient


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

    async def open_stream(package: AsyncClient) -> tuple[AsyncGenerator[Any, None], Any]:
        try:
            lines = await _ask(package, name, request, options)
        except ValueError as error:
            # Nothing has been sent yet: the package checks tools and options by itself.
            raise _misshapen(error) from None
        return await _opened(lines)

    tokens = estimated_prompt_tokens(request) + int(options.get("num_predict", 0))
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
        result = reply.result(name, backend=backend, max_tokens=options.get("num_predict"), evicted=await gone)
    finally:
        gone.cancel()
    if spent is not None:
        spent.tokens = result.usage.prompt_tokens + result.usage.completion_tokens
    yield ChatChunk(result=result)


async def _ask(
    package: AsyncClient, name: str, request: ChatRequest, options: Mapping[str, Any]
) -> AsyncGenerator[Any, None]:
    from llmspell_providers.ollama.client import may_cut

    form = None if request.schema is None else dict(request.schema)
    lines: Any
    with may_cut(request.truncate):
        if request.raw:
            lines = await package.generate(
                name, request.prompt or "", raw=True, stream=True, options=options, format=form
            )
        else:
            turns = request.messages or (ChatMessage(role="user", content=request.prompt or ""),)
            said = [content.message_content(turn) for turn in turns]
            tools = None if request.tool_choice == "none" else list(request.tools) or None
            lines = await package.chat(name, said, tools=tools, stream=True, options=options, format=form)
    generator: AsyncGenerator[Any, None] = lines
    return generator


async def _check_sight(calls: OllamaCalls, name: str, backend: str) -> None:
    shown = await calls.answer(name, lambda package: package.show(name))
    if "vision" not in (shown.capabilities or ()):
        why = f"'{name}' can't see images, and would be asked without them"
        refusal = unsupported("images", backend, why)
        refusal.hint = "llmspell model info NAME shows 'vision' for a model that can"
        refusal.details["model"] = name
        raise refusal


def _misshapen(error: ValueError) -> InvalidRequest:
    problems = error.errors() if hasattr(error, "errors") else []
    said = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in problems) or str(error)
    return InvalidRequest(f"Ollama's client refuses the request: {said}")


async def _opened(lines: AsyncGenerator[Any, None]) -> tuple[AsyncGenerator[Any, None], Any]:
    """A stream whose first line is there: a server that fails before that has said nothing yet."""
    try:
        return lines, await anext(lines, None)
    except BaseException:
        await lines.aclose()
        raise
