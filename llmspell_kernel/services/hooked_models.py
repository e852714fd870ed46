"""A model's answer among hooks: what they are told of the request, and what they may change of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NoReturn

from llmspell_kernel.services.hooks.given import given, listed
from llmspell_protocol.areas.model_texts import ModelEmbed, ModelRerank
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
    if "messages" not in data and data["model"] == wanted.model:
        return wanted
    before = chat_data(wanted)
    changed = {key: data[key] for key in ("model", "prompt", "messages") if key in data and data[key] != before[key]}
    if "messages" in changed:
        changed["messages"] = [_message(one) for one in _list(data["messages"])]
    if not changed:
        return wanted
    left = {**before, **changed}
    # The options are the client's own, and were looked at.
    content = {"model": left["model"], "prompt": left["prompt"], "messages": left["messages"]}
    valid = given(ChatRequest, "chat" if left["prompt"] is None else "generate", content)
    return replace(wanted, **{key: getattr(valid, key) for key in changed})


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


def changed_embed(wanted: ModelEmbed, data: Mapping[str, Any]) -> ModelEmbed:
    """The same for vectors: the model and the texts.

    Raises:
        InvalidRequest: what hooks gave is none.
    """
    content = {"model": data["model"], "input": listed(data["input"])}
    if content == {"model": wanted.model, "input": [*wanted.input]}:
        return wanted
    kept = {"normalize": wanted.normalize, "purpose": wanted.purpose}
    return given(ModelEmbed, "embed", {**content, **kept})


def no_scores(_value: Any) -> NoReturn:
    """Raises: scores come from a model alone."""
    raise Forbidden("Operation cancelled by hook: scores can't be left out or replaced")


def changed_rerank(wanted: ModelRerank, data: Mapping[str, Any]) -> ModelRerank:
    """The same for scores: the model, the query and the texts.

    Raises:
        InvalidRequest: what hooks gave is none.
    """
    content = {"model": data["model"], "query": data["query"], "texts": listed(data["texts"])}
    if content == {"model": wanted.model, "query": wanted.query, "texts": [*wanted.texts]}:
        return wanted
    return given(ModelRerank, "rerank", content)


def _list(value: Any) -> Sequence[Any]:
    value = listed(value) or ()
    if not isinstance(value, (list, tuple)):
        raise InvalidRequest("a hook gave a model messages that are no list")
    return value


def _message(one: Any) -> Mapping[str, Any]:
    if not isinstance(one, Mapping) or one.get("role") not in ("system", "user", "assistant"):
        raise InvalidRequest("a hook gave a model a message that has no role of system, user or assistant")
    return {"role": one["role"], "content": _text(one.get("content"))}


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise InvalidRequest("a hook returned something that is not a string as the text for a model")
    return value
