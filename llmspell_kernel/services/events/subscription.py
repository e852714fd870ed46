"""Who wants which events, and those that it has not taken yet: a bounded buffer that counts what it drops."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from llmspell_kernel.services.events.backlog import Backlog
from llmspell_kernel.services.events.event import Event
from llmspell_kernel.services.patterns import matcher

if TYPE_CHECKING:
    from llmspell_kernel.scripting.contexts import ScriptFunction

BUFFERED = 1000
"""Events that a subscription keeps for a reader who is slower than the publishers."""


class Subscription:
    """One subscription; belongs to the loop. It gets events of its own key and the kernel's.

    `size` is the most events that wait; what they take counts in the `backlog` of its owner.
    """

    def __init__(
        self,
        id: str,
        pattern: str,
        *,
        owner: str,
        key_id: str,
        size: int,
        backlog: Backlog,
        of_script: bool = True,
        function: ScriptFunction | None = None,
    ) -> None:
        self.id = id
        self.pattern = pattern
        self.owner = owner
        self.key_id = key_id
        self.of_script = of_script
        self.function = function
        self.received = 0
        """Events that were put into the buffer."""
        self.dropped = 0
        """Events that were pushed out of it by newer ones."""
        self.expired = 0
        """Events whose time was over before they were taken."""
        self.ended = False
        self._fits = matcher(pattern)
        self._buffer: deque[Event] = deque()
        self._size = size
        self._backlog = backlog
        self._come = asyncio.Event()
        self.handled_count = 0
        self._is_handled = function is not None
        self._handled = asyncio.Event()

    @property
    def waiting(self) -> int:
        """Events in the buffer."""
        return len(self._buffer)

    def offer(self, event: Event) -> None:
        """Takes an event, if it is one of those that are wanted."""
        if event.key_id not in (None, self.key_id) or not self._fits(event.event_type):
            return
        self.received += 1
        self._buffer.append(event)
        self._backlog.keep(event, self)
        while len(self._buffer) > self._size:
            self.drop_oldest()
        self._come.set()

    def drop_oldest(self) -> None:
        """The oldest event in the buffer is not delivered."""
        self._backlog.leave(self._buffer.popleft(), self)
        self.dropped += 1

    def end(self) -> None:
        """Nothing comes any more; what is in the buffer can still be taken, and then who waits is told."""
        self.ended = True
        self._come.set()
        self._handled.set()

    def drop(self) -> None:
        """Ends it, and what is in the buffer is delivered no more."""
        while self._buffer:
            self._backlog.leave(self._buffer.popleft(), self)
        self.end()

    async def next(self) -> Event | None:
        """The oldest event in the buffer, as soon as there is one; None: the subscription has ended."""
        while True:
            if (event := self.taken()) is not None:
                return event
            if self.ended:
                return None
            self._come.clear()
            await self._come.wait()

    def taken(self) -> Event | None:
        """The oldest event in the buffer whose time is not over; None: there is none now."""
        now = asyncio.get_running_loop().time()
        while self._buffer:
            event = self._buffer.popleft()
            self._backlog.leave(event, self)
            if event.expires is None or event.expires > now:
                return event
            self.expired += 1
        return None

    # Of subscriptions with a function

    def was_handled(self) -> None:
        """The function was called with the event that was taken last."""
        self.handled_count += 1
        self._handled.set()

    def no_longer_handled(self) -> None:
        """The function is called no more."""
        self._is_handled = False
        self._handled.set()

    async def handled(self) -> None:
        """Waits until the function was called with everything that has come until now."""
        until = self.received
        while self._is_handled and not self.ended and self.handled_count + self.dropped + self.expired < until:
            self._handled.clear()
            await self._handled.wait()
