"""Which request is next at one model: a bounded queue that is fair between clients. Knows neither models nor processes.

A free slot goes to the waiting client with the fewest requests running, among these to the one that was served longest
ago (round robin), and within a client to the request that came first. So a client that queues twenty requests delays
another's first one by a single turn.
"""

from __future__ import annotations

import asyncio
import copy
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from llmspell_protocol.errors import Busy

_FIRST_GUESS_S = 2.0
"""What a turn is taken to last before any has ended."""
_NEWEST_WEIGHT = 0.25


@dataclass(slots=True)
class _Client:
    waiting: deque[asyncio.Future[None]] = field(default_factory=deque)
    running: int = 0
    served_at: int = 0
    """The number of the client's last turn; 0: none since it appeared."""


class FairQueue:
    """Slots and the requests that wait for one; belongs to one event loop.

    With no slots every request waits, as for a model that is still loading.
    """

    def __init__(self, *, slots: int, max_waiting: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.slots = slots
        self.max_waiting = max_waiting
        self.running = 0
        self.waiting = 0
        self._clients: dict[str, _Client] = {}
        self._turns = 0
        self._turn_s = _FIRST_GUESS_S
        self._clock = clock

    @property
    def idle(self) -> bool:
        """Whether no request has a slot or waits for one."""
        return not self.running and not self.waiting

    @asynccontextmanager
    async def turn(self, client: str) -> AsyncIterator[None]:
        """A slot for the time of the block, as soon as it is this client's turn.

        Raises:
            Busy: `max_waiting` requests wait already; `details.retry_after_s` is the guess when one may have gone.
        """
        await self._enter(client)
        began = self._clock()
        try:
            yield
        finally:
            self._turn_s += _NEWEST_WEIGHT * (self._clock() - began - self._turn_s)
            self._leave(client)

    def resize(self, slots: int) -> None:
        """Opens or closes slots; turns that have begun go on."""
        self.slots = slots
        self._grant()

    def fail_waiting(self, error: BaseException) -> None:
        """Fails every waiting request with a copy of this error."""
        for client in self._clients.values():
            for waiter in client.waiting:
                if not waiter.done():
                    waiter.set_exception(copy.copy(error))  # each raises its own

    async def _enter(self, name: str) -> None:
        client = self._clients.setdefault(name, _Client())
        if self.running < self.slots and not self.waiting:
            self._start(client)
            return
        if self.waiting >= self.max_waiting:
            self._forget(name, client)
            raise self._full()
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        client.waiting.append(waiter)
        self.waiting += 1
        try:
            await waiter
        except BaseException:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self._leave(name)  # granted in the same moment: the slot goes to the next
            else:
                client.waiting.remove(waiter)
                self.waiting -= 1
                self._forget(name, client)
            raise

    def _leave(self, name: str) -> None:
        client = self._clients[name]
        client.running -= 1
        self.running -= 1
        self._forget(name, client)
        self._grant()

    def _grant(self) -> None:
        while self.running < self.slots:
            waiting = [client for client in self._clients.values() if any(not one.done() for one in client.waiting)]
            if not waiting:
                return
            client = min(waiting, key=lambda one: (one.running, one.served_at))
            waiter = next(one for one in client.waiting if not one.done())
            client.waiting.remove(waiter)
            self.waiting -= 1
            self._start(client)
            waiter.set_result(None)

    def _start(self, client: _Client) -> None:
        self._turns += 1
        client.served_at = self._turns
        client.running += 1
        self.running += 1

    def _forget(self, name: str, client: _Client) -> None:
        if not client.running and not client.waiting:
            self._clients.pop(name, None)

    def _full(self) -> Busy:
        retry_after_s = max(1, round(self._turn_s * self.waiting / max(self.slots, 1)))
        return Busy(
            f"the queue is full: {self.waiting} requests wait already",
            hint=f"try again in {retry_after_s} s, or raise models.max_queue",
            details={"waiting": self.waiting, "max_queue": self.max_waiting, "retry_after_s": retry_after_s},
        )
