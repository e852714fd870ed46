"""The unfinished requests of a kernel, and figures of those that have ended. Starts, answers and refuses none."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Iterator

from llmspell_kernel.early_cancels import EarlyCancels
from llmspell_kernel.request import Request


class ActiveRequests:
    """Unfinished requests, oldest first; belongs to the loop.

    Clients make up the ids: those of two clients may be the same, and each is known all the same. One connection's
    requests are told apart by id, so that of two with one id the second is refused (see `is_taken`) and has no id here.
    """

    def __init__(self) -> None:
        self.early_cancels = EarlyCancels()
        self.handled = 0
        """How many requests have ended."""
        self.last_activity = time.time()
        """When a request last came or ended (seconds since the epoch)."""
        self._unfinished: dict[Request, None] = {}
        self._by_id: dict[str, list[Request]] = {}
        self._on_change: list[Callable[[], None]] = []

    def __len__(self) -> int:
        return len(self._unfinished)

    def __iter__(self) -> Iterator[Request]:
        return iter(tuple(self._unfinished))

    def on_change(self, subscriber: Callable[[], None]) -> None:
        """Calls `subscriber` after each request that comes or ends."""
        self._on_change.append(subscriber)

    def is_taken(self, request: Request) -> bool:
        """Whether another unfinished request that came through the same connection has its id."""
        return any(
            other.caller.client == request.caller.client and not other.superseded
            for other in self._by_id.get(request.id, ())
        )

    def supersede(self, client: str) -> None:
        """The client has another connection now, and may count its ids from the beginning, as jupyter_client does."""
        for request in self._unfinished:
            if request.caller.client == client:
                request.superseded = True

    def get(self, msg_id: str, sender: str) -> Request | None:
        """The unfinished request of that id: the sender's own (see `Caller.sender`), or else another's.

        The oldest, but one that the sender's newest connection has sent before those of older ones.
        """
        same_id = self._by_id.get(msg_id, ())
        own = sorted(
            (request for request in same_id if request.caller.sender == sender), key=lambda request: request.superseded
        )
        return next(iter(own or same_id), None)

    def tasks(self, besides: Collection[Request] = ()) -> set[asyncio.Task[None]]:
        """The tasks of all but these requests, and of those that end when their client wants."""
        others = (request for request in self if request not in besides and not request.lasting)
        return {request.task for request in others if request.task is not None}

    @property
    def working(self) -> int:
        """How many do something that has an end."""
        return sum(not request.lasting for request in self._unfinished)

    def add(self, request: Request) -> None:
        """Counts a request among the unfinished ones and those of its parent; no id finds one whose id is taken."""
        if request.parent is not None:
            request.parent.children.add(request)
        self._unfinished[request] = None
        if not self.is_taken(request):
            self._by_id.setdefault(request.id, []).append(request)
        self._changed()

    def discard(self, request: Request) -> None:
        """Counts a request as ended."""
        self.handled += 1
        self._unfinished.pop(request, None)
        same_id = self._by_id.get(request.id, [])
        if request in same_id:
            same_id.remove(request)
        if not same_id:
            self._by_id.pop(request.id, None)
        if request.parent is not None:
            request.parent.children.discard(request)
        self._changed()

    def _changed(self) -> None:
        self.last_activity = time.time()
        for subscriber in self._on_change:
            subscriber()
