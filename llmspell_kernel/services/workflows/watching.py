"""What an execution tells while it runs: progress to the one who asked, events, and hooks at its points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from llmspell_kernel.request import Request


class Told(NamedTuple):
    """What hooks at a point have said: go on, leave it out, or take this in its place."""

    kind: str = "continue"
    value: Any = None
    reason: str = ""


GO_ON = Told()


class Watching:
    """Progress, events and hooks of one execution."""

    def __init__(self, request: Request, id: str, *, progress: bool) -> None:
        self._request = request
        self._id = id
        self._progress = progress

    def tell(self, event: str, path: Sequence[str], **data: Any) -> None:
        """Something has happened at a place of the tree: `workflow_started`, `step_failed`, …"""
        if self._progress:
            self._request.progress({"event": event, "execution_id": self._id, "path": list(path), **data})

    async def ask(self, point: str, path: Sequence[str], data: Mapping[str, Any]) -> Told:
        """Calls the hooks of a point."""
        return GO_ON
