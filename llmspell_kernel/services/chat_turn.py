"""One chat with a located model: what every backend is spared. It asks nothing that the backend declares to lack,
gives it no schema that is wrong, keeps the turn's clock and holds the finished reply against what was asked. Knows no
backend.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import replace
from typing import Protocol

from llmspell_protocol.models import ChatChunk, ChatRequest, ChatResult
from llmspell_providers.registry import LocatedModel
from llmspell_providers.schemas.grammars import Grammar
from llmspell_providers.schemas.size import demand_size
from llmspell_providers.schemas.tools import demand_call, demand_choice

_RATED = 2
"""Tokens that have a rate: one alone took the time of the prompt."""


class Checks(Protocol):
    """Looks at schemas before, and at finished replies after a generation (`reply_checks.ReplyChecks`)."""

    def prepare(self) -> None:
        """A schema, tools or a reply with a schema will come."""

    async def admit(self, request: ChatRequest, grammar: Grammar | None) -> ChatRequest:
        """The request as a backend may be given it (`schemas.gate.admit`)."""

    async def check(self, result: ChatResult, request: ChatRequest) -> None:
        """Raises `SchemaViolation` for a reply that does not fit."""


async def chat_turn(
    locate: Callable[[], Awaitable[LocatedModel]], request: ChatRequest, *, client: str, checks: Checks
) -> AsyncGenerator[ChatChunk]:
    """Streams a reply; the last chunk carries the result. Closing the iterator cancels the work in the engine.

    `locate` is called once: it is the turn's only look-up, and the clock runs from before it.

    Raises:
        InvalidRequest: schema, tools or tool_choice are wrong themselves.
        Unsupported: the request asks for something that the backend declares to lack.
        SchemaUnsupported: nothing fits the schema, or the engine can't be held to it.
        SchemaViolation: the finished text does not fit `request.schema`.
        ModelError: the reply had to be a call of a tool, and is none.
        LlmspellError: whatever `locate` or the backend raises.
    """
    clock = asyncio.get_running_loop().time
    began = clock()
    demand_choice(request)
    demand_size(request)
    has_schemas = request.schema is not None or bool(request.tools)
    if has_schemas:
        checks.prepare()
    provider, spec, found = await locate()
    if found is None:
        found = await provider.resolve(spec)
    capabilities = provider.capabilities(found.format)
    capabilities.demand_for(request, provider.name)
    admitted = await checks.admit(request, capabilities.grammar) if has_schemas else request
    first_token_ms: float | None = None
    async with aclosing(provider.chat(spec, admitted, client=client, found=found)) as chunks:
        async for chunk in chunks:
            if first_token_ms is None and (chunk.text or chunk.reasoning or chunk.tool_calls):
                first_token_ms = (clock() - began) * 1000
                if request.schema is not None:
                    checks.prepare()
            if chunk.result is None:
                yield chunk
                continue
            result = _completed(chunk.result, first_token_ms, done_ms=(clock() - began) * 1000)
            demand_call(request, result)
            if request.schema is not None and not result.message.tool_calls:
                await checks.check(result, request)
            yield replace(chunk, result=result)


def _completed(result: ChatResult, first_token_ms: float | None, *, done_ms: float) -> ChatResult:
    """The result with the turn's clock, and whether it was cut.

    Where the backend measured no phase itself, the first token divides them.

    A turn without a token, such as Ollama's answer to a load, has none.
    """
    timings = replace(result.timings, first_token_ms=first_token_ms)
    truncated = result.finish_reason in ("length", "context_full")
    if first_token_ms is not None and not timings.prefill_ms and not timings.decode_ms:
        decode_ms, tokens = done_ms - first_token_ms, result.usage.completion_tokens
        timings = replace(
            timings,
            prefill_ms=max(0.0, first_token_ms - timings.queue_ms - timings.load_ms),
            decode_ms=decode_ms,
            tokens_per_second=tokens / (decode_ms / 1000) if tokens and decode_ms > 0 else None,
        )
    if result.usage.completion_tokens < _RATED:
        timings = replace(timings, tokens_per_second=None)
    return replace(result, timings=timings, truncated=truncated)
