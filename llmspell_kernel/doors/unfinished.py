"""Ends connections that send parts of messages without end, which ZeroMQ keeps without telling.

A message reaches the kernel when its last part has come; until then libzmq holds its parts, without any limit of its
own. The system counts what a TCP connection has received: what came and never became a message is unfinished, and so
is what came faster than the kernel reads from someone who has shown no key. A local user needs none for that; socket
files only their owner can open. Linux only: others have no such counter here.
"""

from __future__ import annotations

import asyncio
import logging
import socket as sockets
import struct
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from resource import getpagesize

from llmspell_kernel.doors.connections import Connection, Connections, with_descriptor
from llmspell_protocol.background import of_no_request

log = logging.getLogger(__name__)

LOOK_EVERY_S = 0.25
WORTH_A_LOOK_BYTES = 64 * 1024
"""Less than this may be a greeting, heartbeats, or a message on its way."""
MOST_BYTES = 256 * 1024 * 1024
"""What all that is unfinished may have brought, and what the process may grow by meanwhile.

A message may have 64 MiB; a part of no bytes costs 64.
"""
MOST_SMALL_BYTES = 4 * 1024 * 1024
"""What connections may hold together that have less than `WORTH_A_LOOK_BYTES` each: parts of no bytes make 128 MiB of
it, and thousands of connections can be opened without a key."""
PATIENCE_S = 60.0
"""How long a connection may hold an unfinished message without sending `WORTH_A_LOOK_BYTES` more of it."""

_Held = tuple[int, int, Connections]
"""The bytes of what is unfinished, the connection's descriptor, and whose it is."""

_BYTES_RECEIVED = struct.Struct("=128xQ")  # tcpi_bytes_received of struct tcp_info (linux/tcp.h), since Linux 4.1.
_HEARTBEATS_BYTES = 64
"""A look: what a connection receives without any message."""
_STATM = Path("/proc/self/statm")


class Unfinished:
    """Looks at the connections of some sockets while there are any; belongs to the loop.

    `on_cut` hears of each connection that was ended for it.
    """

    def __init__(self, connections: Sequence[Connections], on_cut: Callable[[], None]) -> None:
        self._connections = connections
        self._on_cut = on_cut
        self._timer: asyncio.TimerHandle | None = None
        self._quiet_bytes = 0
        """What the process had in memory when nothing was unfinished."""
        for each in connections:
            each.on_change = self._change
        self._change()

    def close(self) -> None:
        """Looks no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _change(self) -> None:
        if self._timer is None and any(each.live for each in self._connections):
            self._wait()

    def _wait(self) -> None:
        self._timer = of_no_request(asyncio.get_running_loop().call_later, LOOK_EVERY_S, self._look)

    def _look(self) -> None:
        self._timer = None
        now = asyncio.get_running_loop().time()
        memory = _memory_bytes()
        held: list[_Held] = []
        small: list[_Held] = []
        for each in self._connections:
            each.look()
            for descriptor, connection in each.live.items():
                if _is_unfinished(descriptor, connection, each, now):
                    held.append((connection.unfinished, descriptor, each))
                elif connection.unfinished < WORTH_A_LOOK_BYTES:
                    small.append((connection.unfinished, descriptor, each))
        if not held:
            self._quiet_bytes = memory
        elif max(sum(size for size, _, _ in held), memory - self._quiet_bytes) > MOST_BYTES:
            self._cut(_larger_half(held))
        if sum(size for size, _, _ in small) > MOST_SMALL_BYTES:
            self._cut(_larger_half(small))
        self._cut([item for item in held if _is_stuck(item[2].live.get(item[1]), now)])
        self._change()

    def _cut(self, held: Sequence[_Held]) -> None:
        for size, descriptor, connections in held:
            log.warning("a connection was ended: %d bytes of messages without an end", size)
            connections.cut(descriptor)
            self._on_cut()


def _larger_half(held: list[_Held]) -> list[_Held]:
    """Many small ones are gone soon too, and an honest one has a chance."""
    return sorted(held, key=lambda item: item[0], reverse=True)[: (len(held) + 1) // 2]


def available() -> bool:
    """Whether this system counts what a connection has received."""
    return sys.platform == "linux" and hasattr(sockets, "TCP_INFO")


def _is_unfinished(descriptor: int, connection: Connection, connections: Connections, now: float) -> bool:
    """Brings a connection's figures up to date, and tells whether it holds more than a moment's worth."""
    received = connection.received

    def read(peer: sockets.socket) -> None:
        nonlocal received
        if connections.is_ours(peer):
            counted = peer.getsockopt(sockets.IPPROTO_TCP, sockets.TCP_INFO, _BYTES_RECEIVED.size)
            if len(counted) == _BYTES_RECEIVED.size:
                (received,) = _BYTES_RECEIVED.unpack(counted)

    with_descriptor(descriptor, read)
    came = received - connection.received
    finished, connection.finished, connection.received = connection.finished, 0, received
    connection.unfinished = max(0, connection.unfinished + came - finished - _HEARTBEATS_BYTES)
    # A peer with the key may send faster than the kernel reads.
    if (finished and connection.trusted) or connection.unfinished < WORTH_A_LOOK_BYTES:
        connection.waiting_since = None
        return False
    if connection.waiting_since is None or came >= WORTH_A_LOOK_BYTES:
        connection.waiting_since = now
    return True


def _is_stuck(connection: Connection | None, now: float) -> bool:
    return (
        connection is not None and connection.waiting_since is not None and now - connection.waiting_since > PATIENCE_S
    )


def _memory_bytes() -> int:
    try:
        return int(_STATM.read_bytes().split()[1]) * getpagesize()
    except (OSError, ValueError, IndexError):
        return 0  # Without it the bytes that came decide alone.
