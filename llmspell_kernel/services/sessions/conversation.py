"""What a conversation with a model needs to go on: the last request in which one was held, with its answer.

A request is recorded as it came, also one that was refused: what is read back is checked as a client's is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from llmspell_kernel.services.sessions.steps import Step
from llmspell_kernel.validate import validated
from llmspell_protocol.areas import AREA_OF, actions
from llmspell_protocol.areas.session import SessionConversationReply, SessionDetails
from llmspell_protocol.errors import InvalidRequest
from llmspell_protocol.models import ChatMessage
from llmspell_protocol.structs import Struct


class _Said(Struct):
    """What an answer adds."""

    messages: Sequence[ChatMessage]


def conversation_of(session: SessionDetails, last_first: Iterable[Step]) -> SessionConversationReply:
    """The messages of the last turn that a client asked for with its whole conversation; nothing where there is none.
    `last_first` are what clients asked, the last of it first; no more of it is read than is needed.

    Each turn has all messages before it; the images in them are left out, since only their text is recorded whole. A
    turn that can't be read is left out, and its step is told.
    """
    left_out: list[str] = []
    for step in filter(is_turn, last_first):
        if not step.is_readable:
            left_out.append(step.label)
            continue
        try:
            return _read(session, step, left_out[::-1])
        except InvalidRequest:
            left_out.append(step.label)
    return SessionConversationReply(
        session=session, model=None, system=None, messages=(), options={}, tools=(), left_out=left_out[::-1]
    )


def is_turn(step: Step) -> bool:
    """Whether a conversation was held with what a client asked, or may have been."""
    return step.msg_type in AREA_OF and (bool(step.content.get("messages")) or not step.is_readable)


def _read(session: SessionDetails, step: Step, left_out: Sequence[str]) -> SessionConversationReply:
    area = AREA_OF[step.msg_type]
    content = {**step.content, "messages": _without_images(step.content["messages"])}
    asked = validated(content, actions(area)[step.action].request, step.action, what="Invalid record")
    # Of another kind of request `messages` may be anything: a field that its class doesn't have.
    said: Sequence[ChatMessage] = validated(
        {"messages": content["messages"]}, _Said, "", what="Invalid record"
    ).messages
    options = step.content.get("options") or {}
    return SessionConversationReply(
        session=session,
        model=getattr(asked, "model", None) or _model_of(step.reply),
        system=next((one.content for one in said if one.role == "system"), None),
        messages=[*(one for one in said if one.role != "system"), *_answer(step.reply)],
        options={name: value for name, value in options.items() if value is not None},
        tools=[name for name in getattr(asked, "tools", ()) if isinstance(name, str)],
        left_out=left_out,
    )


def _answer(reply: Mapping[str, Any] | None) -> Sequence[ChatMessage]:
    """What the reply adds: the tools' calls with their results, and the message; of a failed one what had come."""
    if reply is None:
        return []
    if reply.get("status") == "error":
        details = reply.get("details")
        partial = details.get("partial") if isinstance(details, Mapping) else None
        text = partial.get("text") if isinstance(partial, Mapping) else None
        return [ChatMessage(role="assistant", content=text)] if isinstance(text, str) and text.strip() else []
    message = reply.get("message")
    has_answer = isinstance(message, Mapping) and message.get("content")
    remembered = reply.get("messages") or ([message] if has_answer else [])
    added: Sequence[ChatMessage] = validated(
        {"messages": _without_images(remembered)}, _Said, "", what="Invalid record"
    ).messages
    return added


def _model_of(reply: Mapping[str, Any] | None) -> str | None:
    model, backend = (reply or {}).get("model"), (reply or {}).get("backend")
    return None if not model else f"{model}@{backend}" if backend and "@" not in str(model) else str(model)


_KEPT = ("role", "content", "tool_calls", "tool_call_id", "name")


def _without_images(messages: Any) -> Any:
    if not isinstance(messages, Sequence) or isinstance(messages, str):
        return messages
    return [
        {name: one[name] for name in _KEPT if one.get(name) is not None} if isinstance(one, Mapping) else one
        for one in messages
    ]
