"""Whole messages from one socket, a bounded number of them a turn of the loop. Knows bytes, not what they mean.

Every peer that can connect decides how much there is to read, key or none: a turn ends after a number of messages, of
parts and of bytes, and the rest waits for the next one. A message of too many parts is read to its end, without being
kept, over as many turns as that takes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import zmq

from llmspell_protocol.wire import MAX_MESSAGE_BYTES

TURN_MESSAGES = 64
TURN_PARTS = 2_048
TURN_BYTES = 2 * 1024 * 1024
MAX_PARTS = 1_024
"""Of one message: its routing frame, six frames and the buffers."""
PART_OVERHEAD_BYTES = 9
"""What the transport adds to a part, at most."""
NO_CONNECTION = -1


class Taken(NamedTuple):
    """One message: the descriptor of the connection that it came through (inproc has none: -1), and its frames."""

    descriptor: int
    frames: list[bytes]
    size: int
    """Bytes that came through the connection for it."""


class Intake:
    """Reads one socket; `on_dropped` hears of each message that is not kept, with the reason.

    `on_finished` hears the descriptor and the size of each message that has come to its end, kept or not.
    """

    def __init__(
        self,
        socket: zmq.Socket[bytes],
        on_dropped: Callable[[str], None],
        on_finished: Callable[[int, int], None],
        *,
        max_parts: int = MAX_PARTS,
        max_bytes: int = MAX_MESSAGE_BYTES,
    ) -> None:
        self._socket = socket
        self._on_dropped = on_dropped
        self._on_finished = on_finished
        self._max_parts = max_parts
        self._max_bytes = max_bytes
        self._reason = ""
        """Why the message that is being read is not kept."""
        self._parts = 0
        self._size = 0
        self.exhausted = False
        """Whether the last turn has read all that there was."""

    def turn(self) -> Iterator[Taken]:
        """The messages of one turn; there may be more afterwards, and the descriptor doesn't tell of those again."""
        budget = _Budget()
        self.exhausted = False
        while budget.messages and budget.left and not self._socket.closed:
            try:
                taken = self._take(budget)
            except zmq.Again:
                self.exhausted = True
                return
            if taken is None:
                return
            budget.messages -= 1
            reason, self._reason, self._parts, self._size = self._reason, "", 0, 0
            self._on_finished(taken.descriptor, taken.size)
            if reason:
                self._on_dropped(reason)
            else:
                yield taken

    def _take(self, budget: _Budget) -> Taken | None:
        """One message; None where the turn's budget ends in the middle of one that is not kept."""
        first = self._socket.recv(zmq.NOBLOCK, copy=False)
        descriptor = descriptor_of(first)
        frames: list[bytes] = [] if self._reason else [first.bytes]
        more = bool(first.more)
        self._count(len(first), budget)
        while more:
            if not self._reason and self._parts >= self._max_parts:
                self._reason = "frames"
            if not self._reason and self._size > self._max_bytes:
                self._reason = "size"
            if self._reason:
                frames.clear()
                if not budget.left:
                    return None
            # All parts of a message are there, or none.
            part = self._socket.recv(zmq.NOBLOCK)
            self._count(len(part), budget)
            more = bool(self._socket.get(zmq.RCVMORE))
            if not self._reason:
                frames.append(part)
        return Taken(descriptor, frames, self._size)

    def _count(self, size: int, budget: _Budget) -> None:
        self._parts += 1
        self._size += size + PART_OVERHEAD_BYTES
        budget.parts -= 1
        budget.bytes -= size


class _Budget:
    """What is left of one turn."""

    def __init__(self) -> None:
        self.messages = TURN_MESSAGES
        self.parts = TURN_PARTS
        self.bytes = TURN_BYTES

    @property
    def left(self) -> bool:
        return self.parts > 0 and self.bytes > 0


def descriptor_of(frame: zmq.Frame) -> int:
    """The descriptor of the connection that a frame came through; -1 where there is none (inproc)."""
    try:
        return int(frame.get(zmq.SRCFD))
    except zmq.ZMQError:
        return NO_CONNECTION
