"""The lines of one reply of Ollama gathered: pieces to show, and the whole at the end. Knows no connection."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llmspell_protocol.models import ChatChunk, ChatMessage, ChatResult, ToolCall
from llmspell_providers.ollama import content
from llmspell_providers.openai_chat import plain_arguments


class OllamaReply:
    """What has come of one reply."""

    def __init__(self) -> None:
        self.calls: list[ToolCall] = []
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._last: Any = None

    @property
    def complete(self) -> bool:
        """Whether the last line has come, which alone has the counts."""
        return bool(getattr(self._last, "done", False))

    def take(self, line: Any) -> ChatChunk | None:
        """The chunk for one line, if the line has anything to show."""
        self._last = line
        message = getattr(line, "message", None)
        text = (line.response if message is None else message.content) or ""
        reasoning = (line.thinking if message is None else message.thinking) or ""
        calls = [
            # The package drops Ollama's own ids.
            ToolCall(id=f"call_{len(self.calls) + at}", name=call.name, arguments=plain_arguments(call.arguments))
            for at, call in enumerate(one.function for one in (message.tool_calls if message else None) or ())
        ]
        self._text.append(text)
        self._reasoning.append(reasoning)
        self.calls += calls
        return ChatChunk(text=text, reasoning=reasoning, tool_calls=calls) if text or reasoning or calls else None

    def result(self, model: str, *, backend: str, max_tokens: int | None, evicted: Sequence[str]) -> ChatResult:
        """The whole reply, after the last line."""
        message = ChatMessage(
            role="assistant",
            content="".join(self._text),
            reasoning="".join(self._reasoning) or None,
            tool_calls=tuple(self.calls),
        )
        return ChatResult(
            message=message,
            finish_reason=content.finish_reason_of(self._last, called=bool(self.calls), max_tokens=max_tokens),
            usage=content.usage_of(self._last),
            timings=content.timings_of(self._last),
            model=model,
            backend=backend,
            evicted=evicted,
        )
