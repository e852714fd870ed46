"""Whose a debugger is: the clients that have started it, who else may ask it, and what happens when they go.

Knows requests by their callers, and nothing of scripts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection

from llmspell_kernel.identity import Caller
from llmspell_kernel.request import Request
from llmspell_protocol.background import of_no_request
from llmspell_protocol.errors import Busy, Forbidden

RETURN_S = 30.0
"""How long a script stands for a frontend that has gone: a page that is loaded again comes back as another client."""


class Owners:
    """The clients that have started a debugger and not ended it; belongs to the loop. `end` ends the debugger."""

    def __init__(self, end: Callable[[], None]) -> None:
        self.started = False
        self._end = end
        self._clients: set[str] = set()
        self._origin: tuple[str, bool] = ("", False)
        """Key and place of all of them."""
        self._by_deltas = False
        """Whether the client reads its own requests' deltas, and no IOPub."""
        self._leaving: asyncio.TimerHandle | None = None

    def has(self, client: str) -> bool:
        """Whether the client is one of them."""
        return client in self._clients

    def hear_of(self, caller: Caller) -> bool:
        """Whether they may see what runs for this caller, and hear of its stops."""
        return caller.client in self._clients or (not self._by_deltas and caller.origin == self._origin)

    def add(self, request: Request) -> None:
        """The client of this request starts the debugger."""
        self._clients.add(request.caller.client)
        self._origin = request.caller.origin
        self._by_deltas = request.options.deltas
        self.started = True

    def demand_origin(self, caller: Caller, running: Collection[tuple[str, bool]]) -> None:
        """Looks at key and place of a caller; `running` are those of all that runs.

        Raises:
            Forbidden: they are not those of what is debugged.
        """
        origins = {*running, self._origin} if self.started else {*running}
        if origins - {caller.origin}:
            raise Forbidden(
                "what is debugged here belongs to another key, or to a client on another machine",
                hint="debug it with the key, and from the machine, that it runs for",
            )

    def heard_from(self, request: Request, command: str) -> bool:
        """A client asks. Others with the same key share the debugger, where stops are told on IOPub; one of them takes
        the place of a client that has gone: then this is true.

        Raises:
            Busy: another client debugs, which alone hears of what happens.
        """
        client = request.caller.client
        if not self.started or client in self._clients:
            return False
        alone = self._by_deltas or request.options.deltas
        if self._leaving is not None and not alone and request.caller.origin == self._origin:
            self._stay()
            self._clients.add(client)
            return True
        if self._leaving is not None and command == "initialize":
            # What the debugger of the one that has gone was for, this one doesn't know.
            self._end()
        elif alone and command != "debugInfo":
            raise Busy(
                "another client debugs this context", hint="wait until it has ended its debugger, or end it there"
            )
        return False

    def leave(self, client: str) -> bool:
        """A client ends its debugging; whether none is left."""
        self._clients.discard(client)
        return not self._clients

    def gone(self, client: str) -> None:
        """A client has gone. Where none is left, the debugger ends unless another takes its place."""
        if client in self._clients and self.leave(client) and self._leaving is None:
            self._leaving = of_no_request(asyncio.get_running_loop().call_later, RETURN_S, self._end)

    def clear(self) -> None:
        """None has it any more."""
        self._stay()
        self.started = self._by_deltas = False
        self._clients.clear()

    def _stay(self) -> None:
        if self._leaving is not None:
            self._leaving.cancel()
        self._leaving = None
