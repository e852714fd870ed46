"""Replies for frontends that were gone when they were sent: kept for a while in case they return. Knows no sockets.

A frontend that returns has the routing id of its session, and asks something before it is known to be there.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from llmspell_protocol.messages import Message

MAX_FRONTENDS = 64
MAX_REPLIES = 64
"""Of one frontend; more cells than these seldom wait."""
MAX_BYTES = 1024 * 1024
"""Of one reply: those of cells are small, and what they have shown was published."""


class Owed:
    """Replies by routing id, those of the frontends that went last."""

    def __init__(self) -> None:
        self._replies: dict[bytes, deque[Message]] = {}

    def __len__(self) -> int:
        return len(self._replies)

    def keep(self, route: bytes, reply: Message, size: int) -> None:
        """Keeps one more, unless it is too large."""
        if size > MAX_BYTES:
            return
        replies = self._replies.pop(route, None) or deque(maxlen=MAX_REPLIES)
        replies.append(reply)
        self._replies[route] = replies
        if len(self._replies) > MAX_FRONTENDS:
            del self._replies[next(iter(self._replies))]

    def take(self, route: bytes, asked: str) -> Sequence[Message]:
        """What a frontend is owed that has just asked something with the id `asked`.

        A frontend that counts its ids from the beginning again would take a reply to the same id for the new one's.
        """
        return [reply for reply in self._replies.pop(route, ()) if reply.parent_id != asked]
