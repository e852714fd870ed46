"""What agents need of the models service, and the sums of several replies. Knows no agent."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import fields, replace
from typing import Protocol

from llmspell_protocol.models import ChatChunk, ChatRequest, ChatResult, Timings, Usage


class Chats(Protocol):
    """What agents need of the models service."""

    async def demand_backend(self, model: str) -> None:
        """Raises what keeps the backend of a model from being asked, without asking any."""

    def chat(self, request: ChatRequest, *, client: str) -> AsyncGenerator[ChatChunk]:
        """Streams a reply; the last chunk carries the result. Closing it cancels the work."""

    def default_model(self, provider: str | None = None) -> str:
        """The spec for requests that name no model; raises `ConfigError` when the settings have none."""

    async def tokenize(self, model: str, text: str) -> Sequence[int]:
        """The model's own tokens of a text; raises `Unsupported` where its backend tells none."""

    async def demand_fit(self, text: str, schema: object) -> None:
        """Raises `SchemaViolation` where a JSON text does not fit a schema."""


def together(results: Sequence[ChatResult]) -> ChatResult:
    """The last of several replies to one input, with what all of them cost."""
    last = results[-1]
    if len(results) == 1:
        return last
    usage = Usage(**{item.name: sum(getattr(one.usage, item.name) for one in results) for item in fields(Usage)})
    timings = replace(
        last.timings,
        **{
            name: sum(getattr(one.timings, name) for one in results)
            for name in ("queue_ms", "load_ms", "prefill_ms", "decode_ms")
        },
        first_token_ms=results[0].timings.first_token_ms,
        tokens_per_second=_rate([one.timings for one in results], usage.completion_tokens),
        draft_tokens=_sum([one.timings.draft_tokens for one in results]),
        accepted_tokens=_sum([one.timings.accepted_tokens for one in results]),
    )
    evicted = tuple(dict.fromkeys(model for one in results for model in one.evicted))
    return replace(last, usage=usage, timings=timings, evicted=evicted)


def _rate(timings: Sequence[Timings], tokens: int) -> float | None:
    decode_ms = sum(one.decode_ms for one in timings)
    is_known = all(one.tokens_per_second is not None for one in timings)
    return tokens / (decode_ms / 1000) if is_known and decode_ms > 0 else None


def _sum(counts: Sequence[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known else None
