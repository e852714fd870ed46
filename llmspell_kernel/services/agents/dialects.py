"""How a model is given tools and how its calls are read: its template's own way, or JSON that its replies have to fit.

Both read and write the same messages, those of `ChatMessage.tool_calls` and role `tool`. Knows no engine.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from llmspell_kernel.services.agents.tool_names import OfferedTools
from llmspell_protocol.areas.agent import ToolMode
from llmspell_protocol.errors import ModelError
from llmspell_protocol.models import ChatMessage, ChatRequest, ToolCall


class Dialect(Protocol):
    """One way to give a model tools."""

    mode: ToolMode
    streams: bool
    """Whether what the model writes is the answer itself, and can be shown as it comes."""

    def request(self, request: ChatRequest) -> ChatRequest:
        """The request with the tools in it."""

    def read(self, message: ChatMessage) -> ChatMessage:
        """A finished reply as an answer or calls."""


class Plain:
    """The messages as they are: for an answer after calls that the model's own way has made."""

    mode: ToolMode = "native"
    streams = True

    def request(self, request: ChatRequest) -> ChatRequest:
        """As it is."""
        return request

    def read(self, message: ChatMessage) -> ChatMessage:
        """As it is."""
        return message


class WithoutTools:
    """For agents without tools, whose conversation may have calls from a time when there were some."""

    mode: ToolMode = "native"
    streams = True

    def request(self, request: ChatRequest) -> ChatRequest:
        """The same with calls as text: a template without tools leaves them out, or refuses them."""
        return replace(request, messages=[_as_text(message) for message in request.messages])

    def read(self, message: ChatMessage) -> ChatMessage:
        """As it is."""
        return message


class Native:
    """The template's own way. A reply with a schema is asked for when the calls are done: it could be no call."""

    mode: ToolMode = "native"

    def __init__(self, tools: OfferedTools) -> None:
        self._functions = tools.functions()
        self.streams = True

    def request(self, request: ChatRequest) -> ChatRequest:
        """The same with the tools."""
        return replace(request, tools=self._functions, schema=None)

    def read(self, message: ChatMessage) -> ChatMessage:
        """As it is."""
        return message


class Schema:
    """For models without a place for tools: each reply is the JSON of one call, or of the answer.

    Without tools it is that of the answer: after calls that led nowhere, a free reply would be one more of them.
    """

    mode: ToolMode = "schema"
    streams = False

    def __init__(self, tools: OfferedTools, answer: Mapping[str, Any] | None) -> None:
        self._functions = [tool["function"] for tool in tools.functions()]
        self._examples = tools.examples
        self._has_answer_schema = answer is not None
        # The name comes first in the text, too: it decides which arguments may follow.
        calls = [
            _object(
                tool={"const": one["name"]},
                arguments=_moved(one["parameters"], f"#/anyOf/{at}/properties/arguments"),
            )
            for at, one in enumerate(self._functions)
        ]
        written = (
            {"type": "string", "minLength": 1}
            if answer is None
            else _moved(answer, f"#/anyOf/{len(calls)}/properties/answer")
        )
        self._schema = {"anyOf": [*calls, _object(answer=written)]}

    def request(self, request: ChatRequest) -> ChatRequest:
        """The same with the tools told in words, and the schema that holds the reply to one of its forms."""
        system, rest = "", list(request.messages)
        if rest and rest[0].role == "system":
            system = rest.pop(0).content + "\n\n"
        told = ChatMessage(role="system", content=system + self._instruction())
        return replace(request, messages=[told, *(_as_text(message) for message in rest)], schema=self._schema)

    def read(self, message: ChatMessage) -> ChatMessage:
        """A reply that fits the schema as a call or an answer.

        Raises:
            ModelError: it was cut before its end.
        """
        try:
            said = json.loads(message.content)
        except ValueError:
            raise ModelError(
                "the model's reply was cut before its call or its answer was whole",
                hint="raise max_tokens",
                details={"text": message.content},
            ) from None
        if "tool" in said:
            return replace(message, content="", tool_calls=(ToolCall(id="", **_call(said)),))
        answer = said["answer"]
        return replace(message, content=json.dumps(answer, ensure_ascii=False) if self._has_answer_schema else answer)

    def _instruction(self) -> str:
        if not self._functions:
            return 'There are no tools. Answer from what you know by now: reply with JSON: {"answer": …}.'
        lines = [self._described(one) for one in self._functions]
        return "\n".join(
            (
                "You can use these tools:",
                *lines,
                'To use one, reply with JSON: {"tool": NAME, "arguments": {…}}. You get its result, and can go on.',
                'To answer, reply with JSON: {"answer": …}. Use a tool first where it helps, and then answer.',
            )
        )

    def _described(self, function: Mapping[str, Any]) -> str:
        name = function["name"]
        arguments = json.dumps(_brief(function["parameters"]), ensure_ascii=False)
        told = f"- {name}: {function['description'].split('. ')[0].rstrip('.')}. Arguments: {arguments}"
        if name not in self._examples:
            return told
        # A small model goes on with what it has seen rather than with what it was told.
        example = {"tool": name, "arguments": dict(self._examples[name])}
        return f"{told}. Example: {json.dumps(example, ensure_ascii=False)}"


def _call(said: Mapping[str, Any]) -> dict[str, Any]:
    return {"name": str(said["tool"]), "arguments": said.get("arguments") or {}}


def _object(**properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _moved(schema: Any, to: str) -> Any:
    """A schema that stands at a place inside another; its references name their place from the root."""
    if isinstance(schema, Mapping):
        moved = {key: _moved(value, to) for key, value in schema.items()}
        reference = schema.get("$ref")
        if isinstance(reference, str) and reference.startswith("#"):
            moved["$ref"] = to + reference[1:]
        return moved
    return [_moved(value, to) for value in schema] if isinstance(schema, list | tuple) else schema


def _brief(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters in few words: a small model reads no more."""
    required = set(schema.get("required", ()))
    brief: dict[str, Any] = {}
    for name, one in (schema.get("properties") or {}).items():
        about = one if isinstance(one, Mapping) else {}
        kind = about.get("enum") or about.get("type", "any")
        words = "|".join(map(str, kind)) if isinstance(kind, list | tuple) else str(kind)
        brief[name if name in required else f"{name}?"] = f"{words}: {about.get('description', '')}".rstrip(": ")
    return brief


def _as_text(message: ChatMessage) -> ChatMessage:
    """A message as a model reads it that knows nothing of tools."""
    if message.tool_calls:
        said = [
            json.dumps({"tool": call.name, "arguments": dict(call.arguments)}, ensure_ascii=False)
            for call in message.tool_calls
        ]
        return ChatMessage(role="assistant", content="\n".join((*filter(None, [message.content]), *said)))
    if message.role == "tool":
        return ChatMessage(role="user", content=f"Result of {message.name}: {message.content}")
    return message


def with_ids(calls: Sequence[ToolCall], taken: set[str]) -> tuple[ToolCall, ...]:
    """The calls with an id each that no other call of the turn has; `taken` grows by them.

    Nine letters and digits are what the strictest template takes.
    """
    named = []
    for call in calls:
        given = call.id
        if not given or given in taken:
            given = next(f"call{number:05d}" for number in range(len(taken) + 1) if f"call{number:05d}" not in taken)
        taken.add(given)
        named.append(replace(call, id=given))
    return tuple(named)
