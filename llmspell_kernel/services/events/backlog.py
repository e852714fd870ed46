"""Events that wait, and the memory that they take: for the subscriptions of one owner, and for hooks.

An event that several of an owner's subscriptions have is in memory once, and counts once.
"""

from __future__ import annotations

from collections import Counter
from typing import Protocol

from llmspell_kernel.services.events.event import Event

OWNER_BYTES = 16 * 1024 * 1024
"""Events that wait in all subscriptions of one script or client together."""
BEFORE_HOOKS = 1000
"""Events of the kernel's own work that wait for the hooks of one publisher, or have them called now."""
_PLACE = 64
"""What a place in a buffer takes."""


class Buffer(Protocol):
    """A subscription, of which the oldest events may be taken."""

    def drop_oldest(self) -> None:
        """Takes the oldest event out, and tells the backlog; it is never delivered."""


class Backlog:
    """What waits in the subscriptions of one owner: of too much the oldest goes, out of all of them."""

    def __init__(self) -> None:
        self._bytes = 0
        self._held: dict[int, tuple[Event, set[Buffer]]] = {}
        """By sequence, in the order in which they came: that of every buffer."""

    def keep(self, event: Event, buffer: Buffer) -> None:
        """An event was put into a buffer."""
        if event.sequence not in self._held:
            self._held[event.sequence] = event, set()
            self._bytes += event.size
        self._held[event.sequence][1].add(buffer)
        self._bytes += _PLACE
        while self._bytes > OWNER_BYTES:
            _, buffers = next(iter(self._held.values()))
            for one in tuple(buffers):
                one.drop_oldest()

    def leave(self, event: Event, buffer: Buffer) -> None:
        """It was taken out."""
        _, buffers = self._held[event.sequence]
        buffers.remove(buffer)
        self._bytes -= _PLACE
        if not buffers:
            del self._held[event.sequence]
            self._bytes -= event.size


class BeforeHooks:
    """Events of the kernel's own work on their way through hooks, by publisher; nothing waits for these."""

    def __init__(self) -> None:
        self._count: Counter[str] = Counter()
        self._bytes: Counter[str] = Counter()

    def admits(self, publisher: str, event: Event) -> bool:
        """Whether there is room for one more."""
        return self._count[publisher] < BEFORE_HOOKS and self._bytes[publisher] + event.size <= OWNER_BYTES

    def begin(self, publisher: str, event: Event) -> None:
        """One more is on its way."""
        self._count[publisher] += 1
        self._bytes[publisher] += event.size

    def end(self, publisher: str, event: Event) -> None:
        """It has got through."""
        self._count[publisher] -= 1
        self._bytes[publisher] -= event.size
        if not self._count[publisher]:
            del self._count[publisher], self._bytes[publisher]
