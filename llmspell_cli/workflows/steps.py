"""The steps of a workflow as its progress tells of them: a tree, made event by event. Draws nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

State = Literal["running", "done", "failed", "skipped", "cancelled"]

_STATES: Mapping[str, State] = {
    "started": "running",
    "completed": "done",
    "failed": "failed",
    "skipped": "skipped",
    "cancelled": "cancelled",
}
_STRUCTURE = frozenset({"step", "pre", "post", "branch"})
"""Parts of a path that stand between a workflow and its steps."""
_ROUNDS_SHOWN = 3
"""Rounds of a loop that are shown one by one, the last; of those before it is told how many there were."""


@dataclass(eq=False)
class Node:
    """A step, a branch or a round, with what is inside it."""

    name: str
    kind: str = ""
    state: State = "running"
    note: str = ""
    """Why it failed, or which try it is."""
    duration_ms: int | None = None
    hidden_rounds: int = 0
    children: dict[str, Node] = field(default_factory=dict)


class Steps:
    """A workflow's tree."""

    def __init__(self) -> None:
        self.root = Node("workflow")

    def take(self, content: Mapping[str, Any]) -> Node | None:
        """Takes a progress content; the node that has changed, or None."""
        kind, _, what = str(content["event"]).partition("_")
        path = [str(part) for part in content["path"]]
        node = self._node(path)
        if what in _STATES and not (kind == "workflow" and node is not self.root):
            node.state = _STATES[what]
        if kind in ("workflow", "step"):
            name = content.get("workflow" if kind == "workflow" and node is self.root else "step")
            node.name = str(name) if name is not None else node.name
            node.kind = str(content.get("type") or node.kind)
        elif kind == "branch":
            node.kind = "branch"
        elif kind != "iteration":
            return None
        if isinstance(content.get("duration_ms"), (int, float)):
            node.duration_ms = round(content["duration_ms"])
        node.note = str(content.get("error") or "")
        if what == "retried":
            node.note = f"try {int(content['attempt']) + 1}: {node.note}"
        if content.get("success") is False and node.state == "done":
            node.state = "failed"
        if kind == "iteration" and what == "completed":
            self._fold(path)
        return node

    def _node(self, path: Sequence[str]) -> Node:
        node = self.root
        for part in path:
            if part not in _STRUCTURE:
                node = node.children.setdefault(part, Node(_shown(part)))
        return node

    def _fold(self, path: Sequence[str]) -> None:
        """Rounds that are over and went well are counted, not shown, but for the last."""
        around = self._node(path[:-1])
        rounds = [name for name, one in around.children.items() if name.startswith("round_") and one.state == "done"]
        for name in rounds[:-_ROUNDS_SHOWN]:
            del around.children[name]
            around.hidden_rounds += 1


def _shown(part: str) -> str:
    number = part.removeprefix("round_")
    return f"round {int(number) + 1}" if number != part and number.isdecimal() else part


def path_text(path: Sequence[str]) -> str:
    """Where a step stands, in one line."""
    return " > ".join(_shown(part) for part in path if part not in _STRUCTURE)
