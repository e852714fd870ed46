"""What an agent remembers: whole turns, the newest of them, within a number of messages and of tokens.

A turn begins with a message of the user's: templates insist on the order, and a tool's result stands with its call.
Knows no model.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from llmspell_protocol.models import ChatMessage

_AROUND = 4
"""Tokens that a template puts around a message, about."""


@dataclass(slots=True, eq=False)
class Conversation:
    """The messages of an agent and, where it has them, a few sentences about those that went; belongs to the loop."""

    messages: list[ChatMessage] = field(default_factory=list)
    summary: str = ""

    def replace(self, other: Conversation) -> None:
        """Takes another's messages and summary for its own."""
        self.messages, self.summary = list(other.messages), other.summary


def newest(messages: Sequence[ChatMessage], count: int) -> list[ChatMessage]:
    """At most `count` of the last messages, beginning with one of the user's."""
    return _whole_turns(list(messages[-count:]) if count > 0 else [])


async def newest_tokens(
    messages: Sequence[ChatMessage], most: int, count: Callable[[str], Awaitable[int]]
) -> list[ChatMessage]:
    """The last messages that have at most `most` tokens together, beginning with one of the user's."""
    kept: list[ChatMessage] = []
    total = 0
    for message in reversed(messages):
        total += await count(_text_of(message)) + _AROUND
        if total > most:
            break
        kept.insert(0, message)
    return _whole_turns(kept)


def _whole_turns(messages: list[ChatMessage]) -> list[ChatMessage]:
    while messages and messages[0].role != "user":
        del messages[0]
    return messages


def _text_of(message: ChatMessage) -> str:
    """What a prompt repeats of a message."""
    calls = [f"{call.name} {json.dumps(dict(call.arguments), ensure_ascii=False)}" for call in message.tool_calls]
    return "\n".join((message.content, *calls))


def transcript(messages: Sequence[ChatMessage]) -> str:
    """The messages as a text that a model can summarize."""
    return "\n".join(f"{message.name or message.role}: {_text_of(message).strip()}" for message in messages)
