"""The calls of tools in a stream of OpenAI's kind, out of the parts that they come in. Knows JSON, no connection."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from llmspell_protocol.models import ToolCall
from llmspell_providers.http.fields import Misshapen, record, text, whole
from llmspell_providers.openai_chat import parse_arguments

_MOST_PIECES = 1000
"""Of more a complete call is no longer told by its text: each look reads all of it."""


@dataclass(slots=True)
class _Parts:
    id: str = ""
    name: str = ""
    text: list[str] = field(default_factory=list)
    whole: Mapping[str, Any] | None = None

    def is_followed_by(self, given_id: str, *, has_arguments: bool) -> bool:
        """Whether a piece with a name begins another call, though it has this one's index: gateways number all 0."""
        if not self.name:
            return False
        if self.id and given_id and given_id != self.id:
            return True
        return has_arguments and (self.whole is not None or self._is_complete())

    def _is_complete(self) -> bool:
        if len(self.text) > _MOST_PIECES or not self.text[-1].rstrip().endswith("}"):
            return False
        return _is_object("".join(self.text))


def _is_object(written: str) -> bool:
    try:
        return isinstance(json.loads(written), dict)
    except (ValueError, RecursionError):
        return False


class CallParts:
    """The calls of one reply, as far as they have come."""

    def __init__(self) -> None:
        self._calls: list[_Parts] = []
        self._at: dict[int, _Parts] = {}

    def take(self, call: Mapping[str, Any], where: str) -> None:
        """One part of a call."""
        given_id = text(call.get("id"), f"{where}.id")
        function = record(call.get("function"), f"{where}.function")
        name = text(function.get("name"), f"{where}.function.name")
        arguments = function.get("arguments")
        # Some servers send them as they are, not as text.
        whole_arguments = arguments if isinstance(arguments, Mapping) else None
        piece = "" if whole_arguments is not None else text(arguments, f"{where}.function.arguments")
        index = call.get("index")
        parts = self._parts(index, given_id)
        if name and parts.is_followed_by(given_id, has_arguments=whole_arguments is not None or bool(piece)):
            parts = self._added(index)
        parts.id = parts.id or given_id  # others give each piece an id of its own
        if name != parts.name:  # others repeat it in each piece
            parts.name += name
        if whole_arguments is not None:
            parts.whole = whole_arguments
        parts.text.append(piece)

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
        return self._added(index)

    def _added(self, index: object) -> _Parts:
        parts = _Parts()
        if isinstance(index, int) and not isinstance(index, bool):
            self._at[index] = parts
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
