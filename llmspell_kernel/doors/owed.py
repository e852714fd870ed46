"""Replies for frontends that were gone when they were sent: kept for a while in case they return. Knows no sockets.

A frontend that returns has the routing id of its session, and asks something before it is known to be there. Of what
is more than is kept the oldest goes, whosever it is.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

from llmspell_kernel.services.weight import weight
from llmspell_protocol.messages import Message

MAX_FRONTENDS = 64
MAX_REPLIES = 64
"""Of one frontend; more cells than these seldom wait."""
MAX_BYTES = 1024 * 1024
"""Of one reply: those of cells are small, and what they have shown was published."""
MAX_TOTAL_BYTES = 16 * 1024 * 1024
"""Of all replies."""
MAX_AGE_S = 86_400.0
"""A notebook that was left to run overnight is looked at in the morning."""


class _Kept(NamedTuple):
    route: bytes
    reply: Message
    size: int
    at: float


class Owed:
    """Replies with their routing ids, in the order in which they were sent."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._kept: deque[_Kept] = deque()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def size_bytes(self) -> int:
        """About how much they take."""
        return self._bytes

    def keep(self, route: bytes, reply: Message) -> None:
        """Keeps one more, unless it is too large."""
        size = weight([reply.content, reply.header, reply.parent_header, reply.buffers], MAX_BYTES)
        if size > MAX_BYTES:
            return
        self._kept.append(_Kept(route, reply, size, self._now()))
        self._bytes += size
        own = [one for one in self._kept if one.route == route]
        if len(own) > MAX_REPLIES:
            self._drop(own[0])
        # The frontends, by the last reply to each, the newest first.
        routes = dict.fromkeys(one.route for one in reversed(self._kept))
        for gone in [*routes][MAX_FRONTENDS:]:
            for one in [one for one in self._kept if one.route == gone]:
                self._drop(one)
        while self._bytes > MAX_TOTAL_BYTES:
            self._drop(self._kept[0])
        self._drop_old()

    def take(self, route: bytes, asked: str) -> Sequence[Message]:
        """What a frontend is owed that has just asked something with the id `asked`.

        A frontend that counts its ids from the beginning again would take a reply to the same id for the new one's.
        """
        self._drop_old()
        own = [one for one in self._kept if one.route == route]
        for one in own:
            self._drop(one)
        return [one.reply for one in own if one.reply.parent_id != asked]

    def _drop_old(self) -> None:
        while self._kept and self._now() - self._kept[0].at > MAX_AGE_S:
            self._drop(self._kept[0])

    def _drop(self, one: _Kept) -> None:
        self._kept.remove(one)
        self._bytes -= one.size
