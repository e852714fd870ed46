"""Requests with a schema and finished replies to them, for what holds one against the other."""

from __future__ import annotations

from typing import Any

from llmspell_protocol.models import ChatMessage, ChatRequest, ChatResult, Timings, Usage


def asked(schema: dict[str, Any]) -> ChatRequest:
    """A request with a schema."""
    return ChatRequest(model="m", schema=schema)


def said(text: str) -> ChatResult:
    """A finished reply."""
    return ChatResult(
        message=ChatMessage(role="assistant", content=text),
        model="m",
        backend="mock",
        finish_reason="stop",
        usage=Usage(prompt_tokens=1, completion_tokens=1),
        timings=Timings(),
    )
