"""What a worker runs and what that waits for: scopes, and the requests that they have open. Knows no pipe."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from llmspell_protocol.frames import Frame


class Scope:
    """What runs for one request of the kernel's: an execution, or a call of a function."""

    __slots__ = ("exit_status", "id", "input", "requests", "stdin", "stop")

    def __init__(self, number: int, stdin: str) -> None:
        self.id = number
        self.stdin = stdin
        self.stop = False
        self.exit_status: int | None = None
        self.input: deque[str | None] = deque()
        self.requests: list[int] = []


class Pending(deque[Frame]):
    """Frames that have come and were not served yet, oldest first."""

    def take(self, wanted: Callable[[Frame], bool]) -> Frame | None:
        """Takes the first that is wanted; None where none is."""
        frame = next((one for one in self if wanted(one)), None)
        if frame is not None:
            self.remove(frame)
        return frame


class Asked:
    """A request of the script's that has not been answered, and what has come of it."""

    __slots__ = ("events", "scope")

    def __init__(self, scope: int) -> None:
        self.scope = scope
        self.events: deque[Frame] = deque()
