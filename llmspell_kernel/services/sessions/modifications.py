"""Values put in place of recorded ones, by paths such as `options.temperature` or `2.messages.0.content`."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from llmspell_protocol.areas.session import Modification
from llmspell_protocol.errors import InvalidRequest

MOST_LEVELS = 100


def modified(content: Mapping[str, Any], label: str, changes: Sequence[Modification]) -> dict[str, Any]:
    """A recorded request of the step `label`, or of what came of it, with the changes that are for it: those that begin
    with another step's label are not, and neither are those whose path leads nowhere in it."""
    found: dict[str, Any] = copy.deepcopy(dict(content))
    for change in changes:
        if not change.enabled:
            continue
        wanted, names = _parted(change.path)
        if wanted == label.split(".")[: len(wanted)]:
            _set(found, names, change.value)
    return found


def demand_paths(changes: Sequence[Modification]) -> None:
    """Raises `InvalidRequest` for a path that names nothing."""
    for change in changes:
        label, names = _parted(change.path)
        if not names or not all(names) or len(label) > MOST_LEVELS:
            raise InvalidRequest(
                f"'{change.path[:80]}' is no path of a request",
                hint="such as options.temperature, messages.0.content, or 2.model for step 2 and what came of it",
            )


def _parted(path: str) -> tuple[list[str], list[str]]:
    """The label that a path begins with, and the rest: no request has a number for its field's name."""
    names = path.split(".")
    at = next((at for at, name in enumerate(names) if _number(name) is None), len(names))
    return [str(_number(name)) for name in names[:at]], names[at:]


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
    elif isinstance(at, list) and (position := _number(last)) is not None and position < len(at):
        at[position] = value


def _inside(at: Any, name: str) -> Any:
    if isinstance(at, dict):
        return at.get(name)
    if isinstance(at, list) and (position := _number(name)) is not None and position < len(at):
        return at[position]
    return None


_DIGITS = 9
"""Of the largest number of a step, or position in a list; what has more is a name."""


def _number(name: str) -> int | None:
    return int(name) if name.isascii() and name.isdigit() and len(name) <= _DIGITS else None
