"""What every engine does with SmolLM2: a case, over anything that chats, embeds and tokenizes.

A case that needs an ability which engines may lack names it. The model is small and often wrong: the cases look at how
it answers, not at what.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Protocol

from llmspell_protocol.models import ChatChunk, ChatMessage, ChatRequest, ChatResult, Embeddings, SamplingOptions
from llmspell_protocol.scores import TokenCounts

CONTEXT_SIZE = 512
"""Tokens a slot that the subjects are loaded with: long enough for every case, and soon full."""
DEADLINE_S = 120.0


class Subject(Protocol):
    """What the cases run over: a loaded SmolLM2 with `CONTEXT_SIZE` tokens a slot."""

    def chat(self, request: ChatRequest) -> AsyncGenerator[ChatChunk, None]: ...

    async def embed(self, texts: Sequence[str], *, normalize: bool) -> Embeddings: ...

    async def tokenize(self, text: str) -> list[int]: ...

    async def count_tokens(self, texts: Sequence[str]) -> TokenCounts: ...


Run = Callable[[Subject], Coroutine[Any, Any, None]]


@dataclass(frozen=True)
class Case:
    """One behaviour; `needs` are the abilities without any one of which an engine cannot have it."""

    run: Run
    needs: frozenset[str] = frozenset()


class Cases(dict[str, Case]):
    """Cases by their names."""

    def case(self, *needs: str) -> Callable[[Run], None]:
        """Adds a function to the cases under its name."""

        def add(run: Run) -> None:
            self[run.__name__] = Case(run, frozenset(needs))

        return add


def ask(text: str, *, options: dict[str, Any] | None = None, **fields: Any) -> ChatRequest:
    """A greedy request of one user message and at most 24 tokens, unless told otherwise."""
    chosen = SamplingOptions(**{"temperature": 0.0, "max_tokens": 24, **(options or {})})
    if "messages" not in fields and "prompt" not in fields:
        fields["messages"] = [ChatMessage(role="user", content=text)]
    return ChatRequest(model="smollm2:135m", options=chosen, **fields)


async def chunks_of(subject: Subject, request: ChatRequest) -> list[ChatChunk]:
    """All chunks of a reply."""
    async with asyncio.timeout(DEADLINE_S), aclosing(subject.chat(request)) as stream:
        return [chunk async for chunk in stream]


async def result_of(subject: Subject, request: ChatRequest) -> ChatResult:
    """The end of a reply."""
    result = (await chunks_of(subject, request))[-1].result
    assert result is not None
    return result
