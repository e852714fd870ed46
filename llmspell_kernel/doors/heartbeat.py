"""The heartbeat: echoes what comes, a few bytes at a time, to every peer. Signs and checks nothing."""

from __future__ import annotations

import asyncio

import zmq

from llmspell_kernel.doors.connections import Connections
from llmspell_kernel.doors.dropped import Dropped
from llmspell_kernel.doors.intake import Intake
from llmspell_protocol.background import of_no_request
from llmspell_protocol.zmq_calls import READABLE, events, send_frames

MAX_BYTES = 4_096
MAX_PARTS = 8
WAITING_ECHOES = 8
"""How many may wait for one client that does not read."""


class Heartbeat:
    """The ROUTER socket of the hb channel; belongs to the loop."""

    def __init__(self, socket: zmq.Socket[bytes]) -> None:
        self.dropped = Dropped("hb")
        self._socket = socket
        self._connections: Connections | None = None
        self._intake = Intake(socket, self.dropped.add, self._finished, max_parts=MAX_PARTS, max_bytes=MAX_BYTES)
        self._loop = asyncio.get_running_loop()
        self._echo_scheduled = False

    def open(self, connections: Connections | None) -> None:
        """Starts reading; the socket is bound already."""
        self._connections = connections
        of_no_request(self._loop.add_reader, self._socket.FD, self._echo)
        self._echo()

    def close(self) -> None:
        """Closes at once; an echo is of no use to anyone any more."""
        if not self._socket.closed:
            self._loop.remove_reader(self._socket.FD)
            self._socket.close(linger=0)

    def _echo(self) -> None:
        self._echo_scheduled = False
        for taken in self._intake.turn():
            try:
                send_frames(self._socket, taken.frames)
            except zmq.Again:
                self.dropped.add("full")
        if not self._socket.closed and not self._echo_scheduled and events(self._socket) & READABLE:
            self._echo_scheduled = True
            of_no_request(self._loop.call_soon, self._echo)

    def _finished(self, descriptor: int, size: int) -> None:
        if self._connections is not None:
            self._connections.finished(descriptor, size)
