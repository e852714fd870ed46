"""What a conversation has lost, as a few sentences that a model writes and reads. Knows messages, asks nothing."""

from __future__ import annotations

from collections.abc import Sequence

from llmspell_kernel.services.agents.conversation import transcript
from llmspell_protocol.models import ChatMessage

_ORDER = (
    "Summarize the conversation below in a few sentences, for someone who continues it. Keep names, numbers, decisions "
    "and open questions. Write the summary only."
)


def summary_of(before: str, gone: Sequence[ChatMessage]) -> list[ChatMessage]:
    """The question for a summary of these messages and of what an earlier summary says."""
    earlier = f"What happened before:\n{before}\n\n" if before else ""
    return [ChatMessage(role="user", content=f"{_ORDER}\n\n{earlier}{transcript(gone)}")]


def with_summary(system_prompt: str, summary: str) -> str:
    """The system prompt with the summary below it."""
    if not summary:
        return system_prompt
    return "\n\n".join(filter(None, [system_prompt, f"Summary of the conversation so far: {summary}"]))
