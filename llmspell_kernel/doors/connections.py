"""Which connections of one socket live, and which of them were cut. Knows descriptors, not who speaks through them.

libzmq tells of each connection that was accepted and that ended through a monitor, in the order in which it happened.
"""

from __future__ import annotations

import asyncio
import os
import socket as sockets
import struct
from collections.abc import Callable
from itertools import count

import zmq

from llmspell_protocol.background import of_no_request
from llmspell_protocol.zmq_calls import READABLE, events

_EVENT = struct.Struct("=Hi")
_TURN_EVENTS = 1_024
_names = count()


class Connection:
    """What one connection has sent (bytes): `finished` in messages that came to their end, since the last look.

    It is `trusted` once a message of it was signed with the right key.
    """

    __slots__ = ("finished", "received", "trusted", "unfinished", "waiting_since")

    def __init__(self) -> None:
        self.trusted = False
        self.received = 0
        self.finished = 0
        self.unfinished = 0
        self.waiting_since: float | None = None


class Connections:
    """The live connections of one bound socket, by descriptor; belongs to the loop.

    `on_end` hears the descriptor of each one that ended, `on_ready` of each that can be sent to.
    """

    def __init__(
        self, context: zmq.Context[zmq.Socket[bytes]], socket: zmq.Socket[bytes], on_end: Callable[[int], None]
    ) -> None:
        self.live: dict[int, Connection] = {}
        self._ended: set[int] = set()
        """Descriptors that have not been given out again."""
        self.made = 0
        """How many have come to where they can be sent to."""
        self.on_change: Callable[[], None] = _nothing
        self.on_ready: Callable[[], None] = _nothing
        self._socket = socket
        self._endpoint = bytes(socket.get(zmq.LAST_ENDPOINT)).rstrip(b"\0").decode()
        self._on_end = on_end
        self._loop = asyncio.get_running_loop()
        self._look_scheduled = False
        address = f"inproc://llmspell-connections-{os.getpid()}-{next(_names)}"
        socket.monitor(address, zmq.EVENT_ACCEPTED | zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED)
        self._monitor = context.socket(zmq.PAIR)
        self._monitor.linger = 0
        # Unlimited: libzmq's own thread would wait for room, and with it every connection of this process.
        self._monitor.set(zmq.RCVHWM, 0)
        self._monitor.connect(address)
        of_no_request(self._loop.add_reader, self._monitor.FD, self.look)
        self.look()

    def close(self) -> None:
        """Hears no more."""
        self._loop.remove_reader(self._monitor.FD)
        self._socket.disable_monitor()
        self._monitor.close(linger=0)

    def look(self) -> None:
        """Takes in what has happened since."""
        self._look_scheduled = False
        changed = ready = False
        for _ in range(_TURN_EVENTS):
            if self._monitor.closed or not events(self._monitor) & READABLE:
                break
            kind, descriptor = _EVENT.unpack(self._monitor.recv_multipart(zmq.NOBLOCK)[0])
            changed = True
            if kind == zmq.EVENT_ACCEPTED:
                self._ended.discard(descriptor)
                self.live[descriptor] = Connection()
            elif kind == zmq.EVENT_HANDSHAKE_SUCCEEDED:
                self.made += 1
                ready = True
            else:
                self._ended.add(descriptor)
                self.live.pop(descriptor, None)
                self._on_end(descriptor)
        else:
            if not self._look_scheduled:
                self._look_scheduled = True
                of_no_request(self._loop.call_soon, self.look)
        if changed:
            self.on_change()
        if ready:
            self.on_ready()

    def lives(self, descriptor: int) -> bool:
        """Whether the connection that a message came through is there still, as far as has been told."""
        if descriptor not in self.live and descriptor not in self._ended:
            # It was accepted before anyone listened.
            self.live[descriptor] = Connection()
        return descriptor in self.live

    def finished(self, descriptor: int, size: int) -> None:
        """A message of `size` bytes has come to its end."""
        connection = self.live.get(descriptor)
        if connection is not None:
            connection.finished += size

    def trust(self, descriptor: int) -> None:
        """Who sends through it has the key."""
        connection = self.live.get(descriptor)
        if connection is not None:
            connection.trusted = True

    def cut(self, descriptor: int) -> None:
        """Ends a connection whose peer does what none of ours would; its end is told like any other."""
        with_descriptor(descriptor, self._end)

    def is_ours(self, connection: sockets.socket) -> bool:
        """Whether a descriptor still belongs to this socket: it may have been given to something else since."""
        name = connection.getsockname()
        if isinstance(name, tuple):
            return self._endpoint.rpartition(":")[2] == str(name[1])
        return self._endpoint == f"ipc://{os.fsdecode(name)}"

    def _end(self, connection: sockets.socket) -> None:
        if self.is_ours(connection):
            connection.shutdown(sockets.SHUT_RDWR)


def with_descriptor(descriptor: int, use: Callable[[sockets.socket], None]) -> None:
    """Calls `use` with a descriptor that libzmq owns, and that its thread may close at any moment."""
    try:
        connection = sockets.socket(fileno=descriptor)
    except OSError:
        return  # It has ended already.
    try:
        use(connection)
    except OSError:
        pass  # As above.
    finally:
        connection.detach()


def _nothing() -> None:
    """Nothing is told."""
