"""The calls of tools in a stream of OpenAI's kind, out of the parts that they come in. Knows JSON, no connection."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from llmspell_protocol.models import ToolCall
from llmspell_providers.http.fields import Misshapen, record, text, whole
from llmspell_providers.openai_chat import parse_arguments


@dataclass(slots=True)
class _Parts:
    id: str = ""
    name: str = ""
    text: list[str] = field(default_factory=list)
    whole: Mapping[str, Any] | None = None


class CallParts:
    """The calls of one reply, as far as they have come."""

    def __init__(self) -> None:
        self._calls: list[_Parts] = []
        self._at: dict[int, _Parts] = {}

    def take(self, call: Mapping[str, Any], where: str) -> None:
        """One part of a call."""
        given_id = text(call.get("id"), f"{where}.id")
        parts = self._parts(call.get("index"), given_id)
        function = record(call.get("function"), f"{where}.function")
        parts.id = given_id or parts.id
        parts.name += text(function.get("name"), f"{where}.function.name")
        arguments = function.get("arguments")
        if isinstance(arguments, Mapping):
            # Some servers send them as they are, not as text.
            parts.whole = arguments
        else:
            parts.text.append(text(arguments, f"{where}.function.arguments"))

    def calls(self) -> tuple[ToolCall, ...]:
        """All of them, after the last part; no two have the same id."""
        return tuple(_call(parts, at, self._calls[:at]) for at, parts in enumerate(self._calls))

    def _parts(self, index: object, given_id: str) -> _Parts:
        # Some servers leave the index out and send each call whole.
        at = index if isinstance(index, int) and not isinstance(index, bool) else None
        if at is not None and at in self._at:
            return self._at[at]
        if at is None and self._calls and not given_id:
            return self._calls[-1]
        parts = _Parts()
        if at is not None:
            self._at[at] = parts
        self._calls.append(parts)
        return parts


def _call(parts: _Parts, at: int, before: list[_Parts]) -> ToolCall:
    if not parts.name:
        raise Misshapen("a call of a tool without a name")
    is_new = parts.id and all(parts.id != other.id for other in before)
    return ToolCall(
        id=whole(parts.id) if is_new else f"call_{at}",
        name=whole(parts.name),
        arguments=dict(parts.whole) if parts.whole is not None else parse_arguments(whole("".join(parts.text))),
    )
