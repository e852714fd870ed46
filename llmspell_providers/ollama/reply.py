"""The lines of one reply of Ollama gathered: pieces to show, and the whole at the end. Knows no connection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from llmspell_protocol.models import ChatChunk, ChatMessage, ChatResult, ToolCall
from llmspell_providers.http.fields import Misshapen, plain_text, record, records, text
from llmspell_providers.http.reply_text import ReplyText
from llmspell_providers.ollama import content
from llmspell_providers.openai_chat import parse_arguments, plain_arguments


class OllamaReply:
    """What has come of one reply; methods raise `Misshapen` for what is none of Ollama's."""

    def __init__(self) -> None:
        self.calls: list[ToolCall] = []
        self._said = ReplyText()
        self._last: Mapping[str, Any] = {}

    @property
    def complete(self) -> bool:
        """Whether the last line has come, which alone has the counts."""
        return self._last.get("done") is True

    def take(self, line: Mapping[str, Any]) -> ChatChunk | None:
        """The chunk for one line, if the line has anything to show."""
        if not line.keys() & {"message", "response", "done"}:
            raise Misshapen("a line without a piece of a reply")
        self._last = line
        message = record(line.get("message"), "message")
        said = text(message.get("content"), "message.content") or text(line.get("response"), "response")
        thought = text(message.get("thinking"), "message.thinking") or text(line.get("thinking"), "thinking")
        calls = [
            _call(one, len(self.calls) + at)
            for at, one in enumerate(records(message.get("tool_calls"), "message.tool_calls"))
        ]
        self.calls += calls
        chunk = self._said.take(said, thought)
        if not calls:
            return chunk
        return ChatChunk(
            text="" if chunk is None else chunk.text,
            reasoning="" if chunk is None else chunk.reasoning,
            tool_calls=calls,
        )

    def rest(self) -> ChatChunk | None:
        """The chunk for what was held back, after the last line."""
        return self._said.rest()

    def fell_short_of(self, max_tokens: int | None) -> bool:
        """Whether something else cut the reply than the limit that was set for it, after the last line."""
        if self._last.get("done_reason") != "length":
            return False
        return max_tokens is None or content.usage_of(self._last).completion_tokens < max_tokens

    def result(
        self, model: str, *, backend: str, max_tokens: int | None, context_size: int | None, evicted: Sequence[str]
    ) -> ChatResult:
        """The whole reply, after the last line; `context_size` is told for one that was cut, where it is known."""
        message = ChatMessage(
            role="assistant",
            content=self._said.text,
            reasoning=self._said.reasoning,
            tool_calls=tuple(self.calls),
        )
        return ChatResult(
            message=message,
            finish_reason=content.finish_reason_of(
                self._last, called=bool(self.calls), max_tokens=max_tokens, context_size=context_size
            ),
            usage=content.usage_of(self._last),
            timings=content.timings_of(self._last),
            model=model,
            backend=backend,
            context_size=context_size,
            evicted=evicted,
        )


def _call(call: Mapping[str, Any], at: int) -> ToolCall:
    function = record(call.get("function"), "tool_calls[].function")
    name = plain_text(function.get("name"), "tool_calls[].function.name")
    if not name:
        raise Misshapen("a call of a tool without a name")
    given = function.get("arguments")
    arguments = (
        parse_arguments(given) if isinstance(given, str) else plain_arguments(record(given, "tool_calls[].arguments"))
    )
    # Ollama's own ids are not told by every version.
    return ToolCall(id=f"call_{at}", name=name, arguments=arguments)
