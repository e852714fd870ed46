"""A call that has to come: the reply is held to a JSON object that is one, whatever a model would rather say.

llama.cpp's own "required" lets a model talk before its call for as long as it likes, and a small one never comes to it.
So the template shows the tools, and the answer is held to a schema made of their names and parameters.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from llmspell_protocol.models import ToolCall
from llmspell_providers.candle.engine import Outcome, Reply
from llmspell_providers.openai_chat import Words, chat_body

_NO_PARAMETERS: Mapping[str, Any] = {"type": "object", "properties": {}}


def call_body(
    request: Mapping[str, Any], context_size: int | None = None, words: Words | None = None
) -> dict[str, Any]:
    """The engine's request for one call of the tools that the choice leaves; arguments as in `chat_body`."""
    body = chat_body({**request, "schema": None}, context_size, words=words)
    schema = _call_schema([tool["function"] for tool in body["tools"]])
    body["tool_choice"] = "none"  # nothing else is to be parsed out of the reply
    body["response_format"] = {"type": "json_schema", "json_schema": {"name": "call", "schema": schema}}
    return body


def _call_schema(functions: list[Mapping[str, Any]]) -> dict[str, Any]:
    definitions: dict[str, Any] = {}
    calls: list[Mapping[str, Any]] = []
    for function in functions:
        parameters = dict(function.get("parameters") or _NO_PARAMETERS)
        # The gate has given the definitions of each tool names of their own.
        definitions |= parameters.pop("$defs", {})
        properties = {"name": {"const": function["name"]}, "arguments": parameters}
        calls.append({"type": "object", "properties": properties, "required": ["name", "arguments"]})
    schema = dict(calls[0]) if len(calls) == 1 else {"anyOf": calls}
    return {**schema, "$defs": definitions} if definitions else schema


def call_of(outcome: Outcome) -> Outcome:
    """The reply as a call; without one where it was cut before its end."""
    try:
        said = json.loads(outcome.text)
        name, arguments = said["name"], said["arguments"]
    except (ValueError, TypeError, KeyError):
        return outcome
    call = ToolCall(id=f"call_{secrets.token_hex(8)}", name=name, arguments=arguments)
    return replace(outcome, text="", tool_calls=[call], finish_reason="tool_calls")


@dataclass(frozen=True, slots=True)
class Silent:
    """A `Reply` that shows no text: what is written is the call."""

    reply: Reply

    @property
    def cancelled(self) -> bool:
        """As the reply's own."""
        return self.reply.cancelled

    def text(self, piece: str) -> None:
        """Shows nothing."""

    def reasoning(self, piece: str) -> None:
        """The next piece of what the model thinks aloud."""
        self.reply.reasoning(piece)

    def progress(self, processed: int, total: int, elapsed_ms: float) -> None:
        """Tokens of the prompt that have been read."""
        self.reply.progress(processed, total, elapsed_ms)
