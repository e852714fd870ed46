"""Who is connected, over all doors, and how many may work. Knows names, neither sockets nor requests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice


class Connected:
    """The connected clients, oldest first. Belongs to the loop.

    A client's name is unique among all doors: a door whose names could be another's puts its own in front.
    """

    def __init__(self) -> None:
        self._names: dict[str, None] = {}
        self._on_gone: list[Callable[[str], None]] = []
        self._on_returned: list[Callable[[str], None]] = []

    def __len__(self) -> int:
        return len(self._names)

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._names))

    def on_gone(self, subscriber: Callable[[str], None]) -> None:
        """Calls `subscriber` with the name of each client that goes, in order of subscription."""
        self._on_gone.append(subscriber)

    def on_returned(self, subscriber: Callable[[str], None]) -> None:
        """Calls `subscriber` with the name of each client that has another connection in place of its old one."""
        self._on_returned.append(subscriber)

    def came(self, client: str) -> None:
        """A client is connected; doors may say so as often as it speaks."""
        self._names.setdefault(client)

    def returned(self, client: str) -> None:
        """A client is there through another connection, and stays the same client."""
        for subscriber in self._on_returned:
            subscriber(client)

    def gone(self, client: str) -> None:
        """A client, counted or not, is connected no more."""
        self._names.pop(client, None)
        for subscriber in self._on_gone:
            subscriber(client)


class Clients(Connected):
    """All of them, whatever door they came through; the first `limit` may ask for work."""

    def __init__(self, *, limit: int) -> None:
        super().__init__()
        self.limit = limit
        self._on_change: list[Callable[[], None]] = []

    def on_change(self, subscriber: Callable[[], None]) -> None:
        """Calls `subscriber` after each client that comes or goes."""
        self._on_change.append(subscriber)

    def admits(self, client: str) -> bool:
        """Whether a client is one of the first `limit`."""
        return client in islice(self._names, self.limit)

    def came(self, client: str) -> None:
        """As before, and a new one is told of."""
        if client not in self._names:
            super().came(client)
            self._changed()

    def gone(self, client: str) -> None:
        """As before, and it is told of."""
        super().gone(client)
        self._changed()

    def _changed(self) -> None:
        for subscriber in self._on_change:
            subscriber()


class ClientsOfDoor(Connected):
    """Those of one door among others: they are some of all clients, and count with them."""

    def __init__(self, all_clients: Clients) -> None:
        super().__init__()
        self._all = all_clients

    def came(self, client: str) -> None:
        """As before, here and among all."""
        super().came(client)
        self._all.came(client)

    def returned(self, client: str) -> None:
        """As before, here and among all."""
        super().returned(client)
        self._all.returned(client)

    def gone(self, client: str) -> None:
        """As before, here and among all."""
        super().gone(client)
        self._all.gone(client)
