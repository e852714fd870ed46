"""Our chat requests in the form that llama.cpp's engines take, which is OpenAI's with more sampling options."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from llmspell_protocol.models import SAMPLING
from llmspell_protocol.plain_text import whole_text
from llmspell_protocol.plain_values import carried
from llmspell_providers.schemas.tools import WORDS, chosen

_GUIDANCE = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": ", "coerce_one_of": True}
"""For builds whose grammar of a raw prompt is made by llguidance: otherwise a model may write blanks without end, and
a oneOf whose schemas overlap is dropped in silence. Others ignore the keyword."""


class Words(Protocol):
    """What makes text of a template's words that stand in a user's text (`candle.control_words`)."""

    def parted(self, text: str) -> str:
        """A text without them."""


def chat_body(
    request: Mapping[str, Any],
    context_size: int | None = None,
    *,
    has_template: bool = True,
    words: Words | None = None,
) -> dict[str, Any]:
    """The engine's request: with `prompt` for a raw completion, else with `messages`, whose `words` are made text.

    A model without a chat template is given the bare texts to continue: in words that it was never shown it would get
    no better. `context_size`, in tokens, bounds the window of the repeat penalty: llama.cpp knows no word for the whole
    context, and takes memory for as many tokens as it is told.
    """
    options = request["options"]
    body: dict[str, Any] = {name: options[name] for name in SAMPLING if options.get(name) is not None}
    if context_size is not None and not 0 <= body.get("repeat_last_n", 0) <= context_size:
        body["repeat_last_n"] = context_size
    as_text = (lambda text: text) if words is None else words.parted
    if request.get("raw") or not has_template:
        prompt = request.get("prompt")
        text = bare_text(request["messages"]) if prompt is None else prompt
        body["prompt"] = text if request.get("raw") else as_text(text)
        if request.get("schema") is not None:
            body["json_schema"] = {**request["schema"], "x-guidance": _GUIDANCE}
        return body
    prompt = request.get("prompt")
    body["messages"] = (
        [{"role": "user", "content": as_text(prompt)}]
        if prompt is not None
        else [{**_message(message), "content": as_text(message["content"])} for message in request["messages"]]
    )
    if request.get("think") is not None:
        body["chat_template_kwargs"] = {"enable_thinking": request["think"]}
    if request.get("tools"):
        choice = request.get("tool_choice")
        body["tools"] = [_tool(tool) for tool in chosen(request["tools"], choice)]
        if choice is not None:
            # Few servers know a tool's name here; all know that one has to be called, and then there is but one.
            body["tool_choice"] = choice if choice in WORDS else "required"
    if request.get("schema") is not None:
        body["response_format"] = {"type": "json_schema", "json_schema": {"name": "reply", "schema": request["schema"]}}
    return body


def bare_text(messages: Sequence[Mapping[str, Any]]) -> str:
    """A conversation for a model without a chat template: its texts one below the other, not who said them."""
    return "\n".join(message["content"] for message in messages)


def _message(message: Mapping[str, Any]) -> dict[str, Any]:
    converted: dict[str, Any] = {"role": message["role"], "content": message["content"]}
    if message.get("reasoning"):
        converted["reasoning_content"] = message["reasoning"]
    for field in ("tool_call_id", "name"):
        if message.get(field):
            converted[field] = message[field]
    if message.get("tool_calls"):
        converted["tool_calls"] = [
            {
                "id": call["id"],
                "type": "function",
                "function": {"name": call["name"], "arguments": json.dumps(call["arguments"], ensure_ascii=False)},
            }
            for call in message["tool_calls"]
        ]
    return converted


def _tool(tool: Mapping[str, Any]) -> Mapping[str, Any]:
    return tool if "function" in tool else {"type": "function", "function": dict(tool)}


def parse_arguments(text: str) -> dict[str, Any]:
    """A tool call's arguments, in the form that every encoding carries (`plain_values.carried`).

    Anything but a JSON object (a reply that was cut), and one that is nested too deep, is kept as `{"_text": text}`.
    """
    try:
        value = carried(json.loads(text or "{}"))
    except (ValueError, RecursionError):
        return {"_text": whole_text(text)}
    return value if isinstance(value, dict) else {"_text": whole_text(text)}


def plain_arguments(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The same for arguments that come as a map."""
    try:
        return {name: carried(value) for name, value in arguments.items()}
    except (ValueError, RecursionError):
        return {"_text": "the arguments are nested too deep"}
