"""What a turn of an agent gives, and who hears of it meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from llmspell_protocol.areas.agent import Limit, ToolMode
from llmspell_protocol.content import to_content
from llmspell_protocol.models import CalledTool, ChatChunk, ChatResult

OnChunk = Callable[[ChatChunk], None]


def has_answer(limit: Limit | None) -> bool:
    """Whether a turn that ended like this has an answer: the model may still give one after calls that all failed."""
    return limit in (None, "failed_calls")


@dataclass(frozen=True, kw_only=True)
class TurnResult:
    """What a turn gave. `result` is the last reply with the sums of all."""

    result: ChatResult
    tool_calls: Sequence[CalledTool]
    tool_mode: ToolMode | None
    limit: Limit | None
    dropped: int
    """Messages of the conversation that the turn left out, or that it pushed out."""
    summarized: bool


def shown_turn(agent: str, turn: TurnResult) -> dict[str, Any]:
    """A turn as what is recorded of it; its calls of tools stand for themselves."""
    answer: dict[str, Any] = to_content(turn.result)
    return {"agent": {"name": agent}, "text": turn.result.message.content, "limit": turn.limit, **answer}
