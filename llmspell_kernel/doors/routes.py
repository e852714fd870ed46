"""Which connection is whose: routing ids of clients, and the descriptors of the connections that they speak through.

A frontend that reconnects keeps its routing id, and ZeroMQ gives the id to the newest connection: the end of an older
one is no client's end. A connection has no name before it speaks; while one lives that has not spoken, a frontend whose
connection ended may be there again, and isn't gone yet. Clients of our own make an id a connection and never return.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

MAX_AWAITED = 64
"""More frontends than these are not waited for: connections that never speak cost nothing."""


class Routes:
    """The clients of one socket, while their connections live; `on_gone` hears the id of each that has gone."""

    def __init__(self, on_gone: Callable[[bytes], None]) -> None:
        self._on_gone = on_gone
        self._descriptor: dict[bytes, int] = {}
        self._route: dict[int, bytes] = {}
        """What each live connection that has spoken was last heard as; it may have been replaced since."""
        self._awaited: dict[bytes, None] = {}

    def __len__(self) -> int:
        return len(self._descriptor) + len(self._route) + len(self._awaited)

    def known(self, route: bytes) -> bool:
        """Whether a client of that id is connected, or may be."""
        return route in self._descriptor or route in self._awaited

    def spoke(self, route: bytes, descriptor: int, live: Collection[int]) -> bool:
        """A message of a client came through a connection, the newest one of its id; whether it had another before."""
        if self._descriptor.get(route) == descriptor:
            return False
        returned = self.known(route)
        before = self._route.get(descriptor)
        if before is not None and self._descriptor.get(before) == descriptor:
            # A connection has one id: the other's had ended, and its descriptor was given out again, unnoticed.
            self._on_gone(before)
        self._descriptor[route] = descriptor
        self._route[descriptor] = route
        self._awaited.pop(route, None)
        self._settle(live)
        return returned

    def ended(self, descriptor: int, live: Collection[int]) -> None:
        """A connection has ended; `live` are the others."""
        route = self._route.pop(descriptor, None)
        if route is not None and self._descriptor.get(route) == descriptor:
            del self._descriptor[route]
            if may_return(route) and self._any_silent(live):
                self._awaited[route] = None
                if len(self._awaited) > MAX_AWAITED:
                    self._on_gone(next(iter(self._awaited)))
            else:
                self._on_gone(route)
        self._settle(live)

    def forget(self, route: bytes) -> None:
        """The client is gone, however that was found out."""
        self._awaited.pop(route, None)
        self._descriptor.pop(route, None)

    def _settle(self, live: Collection[int]) -> None:
        if self._awaited and not self._any_silent(live):
            for route in tuple(self._awaited):
                self._on_gone(route)

    def _any_silent(self, live: Collection[int]) -> bool:
        return any(descriptor not in self._route for descriptor in live)


def may_return(route: bytes) -> bool:
    """Whether a client of this id may be there again through another connection."""
    # Ours are `<key id>.<random>`; jupyter_client takes the id of its session, which has no dot.
    return b"." not in route
