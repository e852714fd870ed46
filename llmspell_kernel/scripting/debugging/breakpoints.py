"""Breakpoints as the Debug Adapter Protocol has them, and as a script worker takes them. Knows no frontends."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any, NamedTuple

from llmspell_protocol.errors import InvalidRequest

_HITS = re.compile(r"(==?|>=?|<=?|%)?\s*(\d{1,15})\Z", re.ASCII)
_LONGEST = 200

_SHOWN = 64
"""Characters of what was given that an error shows."""

Wire = dict[str, Any]


class Breakpoint(NamedTuple):
    """One line of a source: where, and when it stops."""

    id: int
    line: int
    condition: str | None = None
    hit_condition: str | None = None
    log_message: str | None = None

    def to_worker(self) -> Wire:
        """The fields that the worker takes.

        Raises:
            InvalidRequest: the hit condition is not one.
        """
        fields: Wire = {"id": self.id, "line": self.line}
        if self.condition:
            fields["condition"] = self.condition
        if self.log_message:
            fields["message"] = self.log_message
        if self.hit_condition:
            text = self.hit_condition[: _LONGEST + 1].strip()
            found = _HITS.match(text) if len(self.hit_condition) <= _LONGEST else None
            if found is None or not (number := int(found[2])):
                raise InvalidRequest(
                    f"'{text[:_SHOWN]}' is not a hit condition", hint="a count of hits, as in 5, >= 5, % 2"
                )
            fields["operator"] = "==" if found[1] in (None, "=") else found[1]
            fields["number"] = number
        return fields

    def to_content(self) -> Wire:
        """The fields that a frontend gave."""
        given = {
            "line": self.line,
            "condition": self.condition,
            "hitCondition": self.hit_condition,
            "logMessage": self.log_message,
        }
        return {name: value for name, value in given.items() if value is not None}


class Breakpoints:
    """All breakpoints of a debugger, by path; one that stays what it was keeps its id, and so its hits."""

    def __init__(self) -> None:
        self._by_path: dict[str, list[Breakpoint]] = {}
        self._ids = count(1)

    @property
    def paths(self) -> Sequence[str]:
        """The paths that have any."""
        return tuple(self._by_path)

    def to_content(self) -> list[Wire]:
        """All of them as frontends gave them."""
        return [{"source": path, "breakpoints": [one.to_content() for one in self.of(path)]} for path in self._by_path]

    def of(self, path: str) -> Sequence[Breakpoint]:
        """Those of a path."""
        return self._by_path.get(path, ())

    def replace(self, path: str, given: Sequence[Any]) -> Sequence[Breakpoint]:
        """Sets those of a path.

        Raises:
            InvalidRequest: one of them is not a breakpoint.
        """
        before = {one._replace(id=0): one.id for one in self.of(path)}
        made: list[Breakpoint] = []
        for fields in given:
            one = _read(fields)
            made.append(one._replace(id=before.get(one) or next(self._ids)))
        self._by_path.pop(path, None)
        if made:
            self._by_path[path] = made
        return made

    def moved(self, path: str, id: int, line: int) -> None:
        """One has found its line."""
        self._by_path[path] = [one._replace(line=line) if one.id == id else one for one in self.of(path)]

    def clear(self) -> None:
        """Forgets all."""
        self._by_path.clear()


def _read(fields: Any) -> Breakpoint:
    line = fields.get("line") if isinstance(fields, Mapping) else None
    if not isinstance(line, int) or isinstance(line, bool) or line < 1:
        raise InvalidRequest("a breakpoint needs a line, counted from 1")
    one = Breakpoint(0, line, _text(fields, "condition"), _text(fields, "hitCondition"), _text(fields, "logMessage"))
    one.to_worker()
    return one


def _text(fields: Mapping[str, Any], name: str) -> str | None:
    value = fields.get(name)
    if value is not None and not isinstance(value, str):
        raise InvalidRequest(f"a breakpoint's {name} has to be a text")
    return value or None
