"""A model's answer among hooks: what they are told of the request, and what they may change of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NoReturn

from llmspell_protocol.content import to_content
from llmspell_protocol.errors import Forbidden, InvalidRequest
from llmspell_protocol.models import ChatMessage, ChatRequest, ChatResult, Timings, Usage

_HOOK = "hook"
"""What stands as model and backend of an answer that a hook gave."""


def chat_data(wanted: ChatRequest) -> dict[str, Any]:
    """What hooks are told; pictures and calls of tools are not."""
    options = {key: value for key, value in to_content(wanted.options).items() if value is not None}
    said = [{"role": message.role, "content": message.content} for message in wanted.messages]
    return {"model": wanted.model, "messages": said, "prompt": wanted.prompt, "options": options}


def changed_chat(wanted: ChatRequest, data: Mapping[str, Any]) -> ChatRequest:
    """The request with the model, the prompt or the messages that hooks gave it.

    Raises:
        InvalidRequest: what they gave is none.
    """
    if data["model"] != wanted.model:
        wanted = replace(wanted, model=str(data["model"]))
    if "messages" not in data:
        return wanted
    before = chat_data(wanted)
    if data["prompt"] != before["prompt"]:
        wanted = replace(wanted, prompt=_text(data["prompt"]))
    if data["messages"] != before["messages"]:
        wanted = replace(wanted, messages=[_message(one) for one in data["messages"] or ()])
    return wanted


def given_chat(value: Any) -> ChatResult:
    """An answer that a hook gave: a text, or a table with it; None has no text.

    Raises:
        InvalidRequest: it is neither.
    """
    if isinstance(value, Mapping):
        value = next((value[key] for key in ("text", "content") if key in value), value)
    message = ChatMessage(role="assistant", content="" if value is None else _text(value))
    return ChatResult(
        message=message, finish_reason="stop", usage=Usage(), timings=Timings(), model=_HOOK, backend=_HOOK
    )


def no_vectors(_value: Any) -> NoReturn:
    """Raises: vectors come from a model alone."""
    raise Forbidden("Operation cancelled by hook: vectors can't be left out or replaced")


def _message(one: Any) -> ChatMessage:
    if not isinstance(one, Mapping) or one.get("role") not in ("system", "user", "assistant"):
        raise InvalidRequest("a hook gave a model a message that has no role of system, user or assistant")
    return ChatMessage(role=one["role"], content=_text(one.get("content")))


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise InvalidRequest("a hook gave a model what is no text")
    return value
