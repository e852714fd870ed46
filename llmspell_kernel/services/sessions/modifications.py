"""Values put in place of recorded ones, by paths such as `options.temperature` or `2.messages.0.content`."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from llmspell_protocol.areas.session import Modification
from llmspell_protocol.errors import InvalidRequest


def modified(content: Mapping[str, Any], number: int, changes: Sequence[Modification]) -> dict[str, Any]:
    """A recorded request of step `number` with the changes that are for it: those that begin with another step's number
    are not, and neither are those whose path leads nowhere in it."""
    found: dict[str, Any] = copy.deepcopy(dict(content))
    for change in changes:
        if change.enabled:
            names = change.path.split(".")
            if names[0].isdigit():
                if int(names[0]) != number:
                    continue
                names = names[1:]
            _set(found, names, change.value)
    return found


def demand_paths(changes: Sequence[Modification]) -> None:
    """Raises `InvalidRequest` for a path that names nothing."""
    for change in changes:
        names = change.path.split(".")
        rest = names[1:] if names[0].isdigit() else names
        if not rest or not all(rest):
            raise InvalidRequest(
                f"'{change.path[:80]}' is no path of a request",
                hint="such as options.temperature, messages.0.content, or 2.model for step 2 alone",
            )


def _set(content: Any, names: Sequence[str], value: Any) -> None:
    at = content
    for name in names[:-1]:
        inside = _inside(at, name)
        if inside is None and isinstance(at, dict) and name in at:
            inside = at[name] = {}
        if inside is None:
            return
        at = inside
    last = names[-1]
    if isinstance(at, dict):
        # A key that a request doesn't have is added where it stands in a table of its own: `options.seed`.
        if last in at or len(names) > 1:
            at[last] = value
    elif isinstance(at, list) and last.isdigit() and int(last) < len(at):
        at[int(last)] = value


def _inside(at: Any, name: str) -> Any:
    if isinstance(at, dict):
        return at.get(name)
    if isinstance(at, list) and name.isdigit() and int(name) < len(at):
        return at[int(name)]
    return None
