"""IOPub: what everyone hears, and who listens. Subscriptions need no key over tcp, so each connection has few.

ZeroMQ keeps every topic that is subscribed to, at some 52 bytes a byte; frontends subscribe to one or two.
"""

from __future__ import annotations

import asyncio
import logging

import zmq

from llmspell_kernel.doors.connections import Connections
from llmspell_kernel.doors.dropped import Dropped
from llmspell_kernel.doors.intake import NO_CONNECTION, Intake
from llmspell_kernel.doors.missed import MAX_MESSAGES, Missed
from llmspell_protocol.background import of_no_request
from llmspell_protocol.messages import HeaderFactory, Message
from llmspell_protocol.wire import Wire
from llmspell_protocol.zmq_calls import READABLE, events, send_frames

log = logging.getLogger(__name__)

MAX_TOPIC_BYTES = 512
MAX_TOPICS = 16
MAX_TOPICS_BYTES = 8_192
"""Of one connection, together."""
MAX_CHANGES = 32
"""Subscriptions and their ends at once of one connection; ten more come free a second."""
MAX_LEFT = 1_024
_CHANGES_A_SECOND = 10
WAITING_CHANGES = 4
"""ZeroMQ reads ahead, and keeps what it has read, whatever becomes of the connection."""
WAITING_OUTPUT = 2 * MAX_MESSAGES
"""Messages that wait for one listener; ZeroMQ drops what is more. A frontend that returns is sent all that was kept for
it at once, beside what is said now."""
_LINGER_MS = 2_000
_LATE_S = 10.0
"""How long the first subscription may be behind the requests of its frontend."""


class Subscriber:
    """What one connection has subscribed to, and how often it may still change that."""

    __slots__ = ("_at", "_changes", "_size", "_topics")

    def __init__(self, now: float) -> None:
        self._topics: set[bytes] = set()
        self._size = 0
        self._changes = float(MAX_CHANGES)
        self._at = now

    def changes(self, begins: bool, topic: bytes, now: float) -> bool:
        """Counts a subscription, or the end of one; False where that is more than any frontend needs."""
        self._changes = min(MAX_CHANGES, self._changes + (now - self._at) * _CHANGES_A_SECOND) - 1
        self._at = now
        if begins == (topic not in self._topics):
            (self._topics.add if begins else self._topics.discard)(topic)
            self._size += len(topic) if begins else -len(topic)
        return self._changes >= 0 and len(self._topics) <= MAX_TOPICS and self._size <= MAX_TOPICS_BYTES


class _Leftovers:
    """What ZeroMQ had read from a connection that was cut: not to be held against the next one of its descriptor."""

    __slots__ = ("ended", "messages")

    def __init__(self) -> None:
        self.ended = False
        self.messages = MAX_LEFT


class IoPub:
    """The XPUB socket; belongs to the loop."""

    def __init__(self, socket: zmq.Socket[bytes], wire: Wire, headers: HeaderFactory) -> None:
        self.dropped = Dropped("iopub")
        self._socket = socket
        self._wire = wire
        self._headers = headers
        self._topic = f"kernel.{headers.session}".encode()
        self._connections: Connections | None = None
        self._subscribers: dict[int, Subscriber] = {}
        self._cut: dict[int, _Leftovers] = {}
        self._intake = Intake(socket, self.dropped.add, self._finished, max_parts=1, max_bytes=MAX_TOPIC_BYTES)
        self._loop = asyncio.get_running_loop()
        self._read_scheduled = False
        self._missed = Missed()
        self._listening: set[int] = set()
        """Descriptors of live connections that have subscribed to something."""
        self._had_listeners = False

    def open(self, connections: Connections | None) -> None:
        """Starts reading; the socket is bound already."""
        self._connections = connections
        of_no_request(self._loop.add_reader, self._socket.FD, self._read)
        self._read()

    def close(self) -> None:
        """Stops reading and closes; what was published has two seconds to leave."""
        if not self._socket.closed:
            self._loop.remove_reader(self._socket.FD)
            self._socket.close(linger=_LINGER_MS)

    def ended(self, descriptor: int) -> None:
        """A connection has ended."""
        self._subscribers.pop(descriptor, None)
        self._listening.discard(descriptor)
        if descriptor in self._cut:
            self._cut[descriptor].ended = True

    def publish(self, message: Message, topic: str | None = None) -> None:
        """Sends to everyone who listens, always as JSON: a frontend's JSON session fails on anything else."""
        if self._socket.closed:
            return
        message.identities = [topic.encode() if topic is not None else self._topic + b"." + message.msg_type.encode()]
        frames = self._wire.pack(message, "json")
        # Where connections are cut, whose descriptors are given out again, it isn't sure that none of them listens.
        if not self._listening and not self._cut and self._connections is not None:
            self._missed.keep(frames, self._loop.time())
        else:
            self._send(frames)
        self._look_again()

    def _send(self, frames: list[bytes]) -> None:
        try:
            send_frames(self._socket, frames)
        except zmq.Again:
            log.warning("IOPub is full; a subscriber does not read")

    def _look_again(self) -> None:
        if not self._read_scheduled and events(self._socket) & READABLE:
            self._read_scheduled = True
            of_no_request(self._loop.call_soon, self._read)

    def _read(self) -> None:
        self._read_scheduled = False
        welcomed: set[bytes] = set()
        for taken in self._intake.turn():
            frame = taken.frames[0]
            if frame[:1] not in (b"\x00", b"\x01"):
                continue
            begins, topic = frame[:1] == b"\x01", frame[1:]
            # A welcome goes to all who listen to the topic: one a turn is enough.
            if not self._may_change(taken.descriptor, begins, topic) or not begins:
                continue
            self._listening.add(taken.descriptor)
            if topic not in welcomed:
                welcomed.add(topic)
                self._welcome(topic)
        if b"" in welcomed:
            self._send_missed()
            self._had_listeners = True
        if self._intake.exhausted:
            self._cut = {descriptor: left for descriptor, left in self._cut.items() if not left.ended}
        if not self._socket.closed:
            self._look_again()

    def _finished(self, descriptor: int, size: int) -> None:
        if self._connections is not None:
            self._connections.look()
            self._connections.finished(descriptor, size)

    def _may_change(self, descriptor: int, begins: bool, topic: bytes) -> bool:
        if self._connections is None or descriptor == NO_CONNECTION:
            return True
        if not self._connections.lives(descriptor):
            return False
        if (left := self._cut.get(descriptor)) is not None and left.messages:
            left.messages -= 1
            return not topic  # What frontends subscribe to, in case it is one that has come in its place.
        now = self._loop.time()
        subscriber = self._subscribers.get(descriptor)
        if subscriber is None:
            subscriber = self._subscribers[descriptor] = Subscriber(now)
        if subscriber.changes(begins, topic, now):
            return True
        self.dropped.add("subscriptions")
        self._cut[descriptor] = _Leftovers()
        self._connections.cut(descriptor)
        return False

    def _welcome(self, topic: bytes) -> None:
        # JEP 65: a client that has seen this misses nothing that is published from here on.
        subscription = topic.decode("utf-8", "replace")
        welcome = Message(self._headers("iopub_welcome"), {"subscription": subscription}, identities=[topic])
        self._send(self._wire.pack(welcome, "json"))

    def _send_missed(self) -> None:
        if not self._had_listeners:
            # A frontend's requests may be faster than its subscription; what is older was for no frontend.
            for frames in self._missed.take(since=self._loop.time() - _LATE_S):
                self._send(frames)
            return
        self._missed.leave_out_old(self._loop.time())
        if self._missed.left_out:
            text = f"[{self._missed.left_out} messages of output were lost while no frontend was connected]\n"
            told = Message(self._headers("stream"), {"name": "stderr", "text": text}, identities=[b"stream.stderr"])
            self._send(self._wire.pack(told, "json"))
        for frames in self._missed.take():
            self._send(frames)
