"""Who is connected, over all doors, and how many may work. Knows names, neither sockets nor requests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice


class Clients:
    """The connected clients, oldest first; the first `limit` of them may ask for work. Belongs to the loop.

    A client's name is unique among all doors: a door whose names could be another's puts its own in front.
    """

    def __init__(self, *, limit: int) -> None:
        self.limit = limit
        self._names: dict[str, None] = {}
        self._on_change: list[Callable[[], None]] = []
        self._on_gone: list[Callable[[str], None]] = []
        self._on_returned: list[Callable[[str], None]] = []

    def __len__(self) -> int:
        return len(self._names)

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._names))

    def on_change(self, subscriber: Callable[[], None]) -> None:
        """Calls `subscriber` after each client that comes or goes."""
        self._on_change.append(subscriber)

    def on_gone(self, subscriber: Callable[[str], None]) -> None:
        """Calls `subscriber` with the name of each client that goes, in order of subscription."""
        self._on_gone.append(subscriber)

    def on_returned(self, subscriber: Callable[[str], None]) -> None:
        """Calls `subscriber` with the name of each client that has another connection in place of its old one."""
        self._on_returned.append(subscriber)

    def returned(self, client: str) -> None:
        """A client is there through another connection, and stays the same client."""
        for subscriber in self._on_returned:
            subscriber(client)

    def admits(self, client: str) -> bool:
        """Whether a client is one of the first `limit`."""
        return client in islice(self._names, self.limit)

    def came(self, client: str) -> None:
        """A client is connected; doors may say so as often as it speaks."""
        if client not in self._names:
            self._names[client] = None
            self._changed()

    def gone(self, client: str) -> None:
        """A client, counted or not, is connected no more."""
        self._names.pop(client, None)
        for subscriber in self._on_gone:
            subscriber(client)
        self._changed()

    def _changed(self) -> None:
        for subscriber in self._on_change:
            subscriber()
