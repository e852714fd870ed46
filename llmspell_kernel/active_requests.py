"""The unfinished requests of a kernel, and figures of those that have ended. Starts, answers and refuses none."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Iterator

from llmspell_kernel.early_cancels import EarlyCancels
from llmspell_kernel.request import Request


class ActiveRequests:
    """Unfinished requests by id, oldest first; belongs to the loop."""

    def __init__(self) -> None:
        self.early_cancels = EarlyCancels()
        self.handled = 0
        """How many requests have ended."""
        self.last_activity = time.time()
        """When a request last came or ended (seconds since the epoch)."""
        self._by_id: dict[str, Request] = {}
        self._on_change: list[Callable[[], None]] = []

    def __len__(self) -> int:
        return len(self._by_id)

    def __iter__(self) -> Iterator[Request]:
        return iter(tuple(self._by_id.values()))

    def on_change(self, subscriber: Callable[[], None]) -> None:
        """Calls `subscriber` after each request that comes or ends."""
        self._on_change.append(subscriber)

    def get(self, msg_id: str) -> Request | None:
        """The unfinished request of that id."""
        return self._by_id.get(msg_id)

    def tasks(self, besides: Collection[Request] = ()) -> set[asyncio.Task[None]]:
        """The tasks of all but these requests."""
        return {request.task for request in self if request.task is not None and request not in besides}

    def add(self, request: Request) -> None:
        """Counts a request among those of its id and of its parent."""
        if request.parent is not None:
            request.parent.children.add(request)
        self._by_id[request.id] = request
        self._changed()

    def discard(self, request: Request) -> None:
        """Counts a request as ended."""
        self.handled += 1
        if self._by_id.get(request.id) is request:
            del self._by_id[request.id]
        if request.parent is not None:
            request.parent.children.discard(request)
        self._changed()

    def _changed(self) -> None:
        self.last_activity = time.time()
        for subscriber in self._on_change:
            subscriber()
