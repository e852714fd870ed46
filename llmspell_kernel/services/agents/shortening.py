"""Results of tools that are too long for the model's context, cut so that the prompt may fit. Knows no model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from llmspell_protocol.errors import ContextLengthExceeded
from llmspell_protocol.models import ChatMessage

_SHORTEST = 200
"""Characters of a result that are left at least."""


def shortened(messages: Sequence[ChatMessage], error: ContextLengthExceeded) -> list[ChatMessage] | None:
    """The messages with the longest result of a tool cut to half or less; None where none can be cut.

    A model is told how much it does not see.
    """
    longest = max((message for message in messages if message.role == "tool"), key=_length, default=None)
    if longest is None or _length(longest) <= _SHORTEST + len(_cut_note(0)):
        return None
    tokens, limit = error.details.get("prompt_tokens"), error.details.get("limit")
    keep = _length(longest) // 2
    if isinstance(tokens, int) and isinstance(limit, int) and tokens > 2 * limit:
        keep = min(keep, _length(longest) * limit // (2 * tokens))
    keep = max(_SHORTEST, keep)
    text = cut_to(longest.content, keep)
    return [replace(message, content=text) if message is longest else message for message in messages]


def cut_to(text: str, most: int) -> str:
    """The beginning of a text, with a note about the rest; a text of at most `most` characters as it is."""
    return text if len(text) <= most else text[:most] + _cut_note(len(text) - most)


def _length(message: ChatMessage) -> int:
    return len(message.content)


def _cut_note(count: int) -> str:
    return f"\n… ({count} more characters do not fit the context)"
