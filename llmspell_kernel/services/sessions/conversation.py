"""What a conversation with a model needs to go on: the last request in which one was held, with its answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from llmspell_kernel.services.sessions.steps import Step
from llmspell_protocol.areas.session import SessionConversationReply, SessionDetails
from llmspell_protocol.models import ChatMessage, ToolCall


def conversation_of(session: SessionDetails, steps: Sequence[Step]) -> SessionConversationReply:
    """The messages of the last turn that a client asked for with its whole conversation; nothing where there is none.

    Each turn has all messages before it; the images in them are left out, since only their text is recorded whole.
    """
    turns = [step for step in steps if step.is_root and step.content.get("messages")]
    last = turns[-1] if turns else None
    if last is None:
        return SessionConversationReply(session=session, model=None, system=None, messages=(), options={}, tools=())
    asked = [one for one in last.content["messages"] if isinstance(one, Mapping)]
    system = next((str(one.get("content", "")) for one in asked if one.get("role") == "system"), None)
    messages = [_message(one) for one in asked if one.get("role") != "system"]
    messages += _answer(last.reply)
    options = last.content.get("options") or {}
    return SessionConversationReply(
        session=session,
        model=last.content.get("model") or _model_of(last.reply),
        system=system,
        messages=messages,
        options={name: value for name, value in options.items() if value is not None},
        tools=[str(name) for name in last.content.get("tools") or () if isinstance(name, str)],
    )


def _answer(reply: Mapping[str, Any] | None) -> list[ChatMessage]:
    """What the reply adds: the tools' calls with their results, and the message; of a failed one what had come."""
    if reply is None:
        return []
    if reply.get("status") == "error":
        details = reply.get("details")
        partial = details.get("partial") if isinstance(details, Mapping) else None
        text = partial.get("text", "") if isinstance(partial, Mapping) else ""
        return [ChatMessage(role="assistant", content=text)] if text.strip() else []
    remembered = reply.get("messages")
    if isinstance(remembered, Sequence) and remembered:
        return [_message(one) for one in remembered if isinstance(one, Mapping)]
    message = reply.get("message")
    return [_message(message)] if isinstance(message, Mapping) and message.get("content") else []


def _model_of(reply: Mapping[str, Any] | None) -> str | None:
    model, backend = (reply or {}).get("model"), (reply or {}).get("backend")
    return None if not model else f"{model}@{backend}" if backend and "@" not in str(model) else str(model)


def _message(content: Mapping[str, Any]) -> ChatMessage:
    calls = tuple(
        ToolCall(id=str(call.get("id", "")), name=str(call.get("name", "")), arguments=call.get("arguments") or {})
        for call in content.get("tool_calls") or ()
    )
    return ChatMessage(
        role=content["role"],
        content=str(content.get("content") or ""),
        tool_calls=calls,
        tool_call_id=content.get("tool_call_id"),
        name=content.get("name"),
    )
