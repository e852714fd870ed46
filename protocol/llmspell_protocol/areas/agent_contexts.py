"""Parts of `agent_request`: contexts that turns are told, and memory that agents share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any, Literal

from llmspell_protocol.structs import Struct

Inheritance = Literal["inherit", "copy", "share", "isolate"]


class ContextCreate(Struct):
    """A context: values that turns with its id are told (`execute` with `context_id`).

    Of a parent it sees the values as they are (`inherit`) or were (`copy`), has the same ones (`share`) or none
    (`isolate`).
    """

    context: str | None = None
    """its id; absent: a new one"""
    parent: str | None = None
    inheritance: Inheritance = "inherit"
    conversation_id: str | None = None
    user_id: str | None = None
    session_id: str | None = None
    scope: Any = None
    data: Mapping[str, Any] = field(default_factory=dict)


class ContextNamed(Struct):
    """A request about one context."""

    context: str


class ContextKey(ContextNamed):
    """A request about one value of a context."""

    key: str


class ContextValue(ContextKey):
    """A value for a context."""

    value: Any = None


class MemoryScope(Struct):
    """Whose shared memory is meant."""

    type: Literal["global", "session", "workflow", "agent", "user"] = "global"
    id: str | None = None


class MemoryKey(Struct):
    """A request about one value that an owner's agents share."""

    scope: MemoryScope
    key: str


class MemoryValue(MemoryKey):
    """A value to be shared; null removes it."""

    value: Any = None


class ContextReply(Struct):
    """The context that was made, changed or removed."""

    context: str


class ValueReply(Struct):
    """A value; null where there is none."""

    key: str
    value: Any
