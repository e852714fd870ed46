"""A ROUTER socket of the kernel: messages of clients in and out, and which connection is whose.

Raw sockets on the loop's reader, not zmq.asyncio: a token is one send, without a future. A ZeroMQ descriptor is edge
triggered, so after every send the socket is asked once more whether something has come in.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import zmq

from llmspell_kernel.doors.connections import Connections
from llmspell_kernel.doors.dropped import Dropped
from llmspell_kernel.doors.intake import Intake, Taken
from llmspell_kernel.doors.keyed_wire import KeyedWire
from llmspell_kernel.doors.outbox import Outbox, Outgoing
from llmspell_kernel.doors.owed import Owed
from llmspell_kernel.doors.routes import Routes, may_return
from llmspell_protocol.background import of_no_request
from llmspell_protocol.incidents import as_incident, incident_number
from llmspell_protocol.messages import Message
from llmspell_protocol.wire import WireError
from llmspell_protocol.zmq_calls import READABLE, events, send_frames

log = logging.getLogger(__name__)

RETRY_S = 0.010
LINGER_MS = 2_000

OnMessage = Callable[[str, Message], None]
OnGone = Callable[[str, bytes], None]
"""(channel, routing id): no peer is connected any more, or, on stdin, not yet."""
OnReturned = Callable[[str, bytes], None]
"""(channel, routing id): the client is there again, through another connection."""


class Router:
    """A ROUTER socket: sends never block and never get lost; the owner hears when a client is gone."""

    def __init__(
        self,
        name: str,
        socket: zmq.Socket[bytes],
        wire: KeyedWire,
        on_message: OnMessage,
        on_gone: OnGone,
        on_returned: OnReturned,
    ) -> None:
        self.name = name
        self.socket = socket
        self.dropped = Dropped(name)
        self.taken = 0
        """How many messages have left that had to wait."""
        self.routes = Routes(self._gone)
        self._wire = wire
        self._on_message = on_message
        self._on_gone = on_gone
        self._on_returned = on_returned
        self._intake = Intake(socket, self.dropped.add, self._finished)
        self._connections: Connections | None = None
        self._tells_of_ends = False
        self._outboxes: dict[bytes, Outbox] = {}
        self._owed = Owed()
        self._all_taken = asyncio.Event()
        self._all_taken.set()
        self._loop = asyncio.get_running_loop()
        self._drain_scheduled = False

    def open(self, connections: Connections | None, *, tells_of_ends: bool) -> None:
        """Starts reading; the socket is bound already. `tells_of_ends`: a client is gone with its connection."""
        self._connections = connections
        self._tells_of_ends = tells_of_ends and connections is not None
        of_no_request(self._loop.add_reader, self.socket.FD, self._drain)
        self._drain()

    def close(self) -> None:
        """Stops reading and closes; what was sent has two seconds to leave."""
        self._loop.remove_reader(self.socket.FD)
        self.socket.close(linger=LINGER_MS)

    def ended(self, descriptor: int) -> None:
        """A connection has ended."""
        if self._tells_of_ends and self._connections is not None:
            self.routes.ended(descriptor, self._connections.live)

    def send(self, outgoing: Outgoing) -> None:
        """Sends to the message's first identity, now or as soon as the client reads again."""
        if self.socket.closed:
            return
        route = outgoing.message.identities[0]
        outbox = self._outboxes.get(route)
        if outbox is not None:
            outbox.add(outgoing)
        elif not self._try_send(outgoing):
            outbox = self._outboxes[route] = Outbox()
            outbox.add(outgoing)
            self._all_taken.clear()
            of_no_request(self._loop.call_later, RETRY_S, self._retry, route)
        self._look_again()

    def backlog(self, route: bytes) -> int:
        """Messages that wait for the client of this routing id."""
        outbox = self._outboxes.get(route)
        return 0 if outbox is None else len(outbox)

    def connections_made(self) -> int | None:
        """How many connections have been made until now; None where nothing tells of them."""
        if self._connections is None:
            return None
        self._connections.look()
        return self._connections.made

    def offer(self, message: Message) -> bool:
        """Sends to the message's first identity if a client is there and takes it now; nothing follows if not."""
        # A send alone may pass over connections of the last millisecond.
        events(self.socket)
        try:
            send_frames(self.socket, self._wire.pack(message))
        except zmq.ZMQError as error:
            if error.errno not in (zmq.EHOSTUNREACH, zmq.EAGAIN):
                raise
            return False
        finally:
            self._look_again()
        return True

    async def all_taken(self) -> None:
        """Waits until every client has taken what was sent to it, or counts as gone."""
        await self._all_taken.wait()

    def _forget_outbox(self, route: bytes) -> None:
        self._outboxes.pop(route, None)
        if not self._outboxes:
            self._all_taken.set()

    def _try_send(self, outgoing: Outgoing) -> bool:
        try:
            send_frames(self.socket, self._wire.pack(outgoing.numbered()))
        except zmq.Again:
            return False
        except zmq.ZMQError as error:
            if error.errno != zmq.EHOSTUNREACH:
                raise
            self._gone(outgoing.message.identities[0])
            self._owe(outgoing)
        return True

    def _owe(self, outgoing: Outgoing) -> None:
        """Keeps the reply of a standard request for a frontend that may return; ours end with their clients."""
        route, message = outgoing.message.identities[0], outgoing.message
        standard = outgoing.counter is None and message.msg_type.endswith("_reply")
        if self._tells_of_ends and standard and may_return(route):
            self._owed.keep(route, message)

    def _retry(self, route: bytes) -> None:
        outbox = self._outboxes.get(route)
        if outbox is None or self.socket.closed:
            return
        for outgoing in outbox:
            try:
                if not self._try_send(outgoing):
                    break
            except (TypeError, ValueError, RecursionError):
                # Sent at once this would have become an error reply; from the outbox there is no request left to fail.
                incident = incident_number()
                log.exception("incident %s: a %s can't be sent", incident, outgoing.message.msg_type)
                if not self._sent_defect(outgoing, incident):
                    break
            if route not in self._outboxes:
                return
            outbox.taken()
            self.taken += 1
        if not outbox:
            self._forget_outbox(route)
        elif outbox.hopeless:
            log.warning("a client does not read its replies and counts as gone")
            self._gone(route)
        else:
            of_no_request(self._loop.call_later, RETRY_S, self._retry, route)
        self._look_again()

    def _sent_defect(self, outgoing: Outgoing, incident: str) -> bool:
        """Tells of a defect in place of a reply; anything else is missed. False: the client takes nothing yet."""
        if not outgoing.message.msg_type.endswith("_reply"):
            return True
        numbered = {key: value for key, value in outgoing.message.content.items() if key == "seq"}
        error = as_incident("internal error: the reply can't be sent", incident)
        outgoing.message.content = {**error.to_content(), **numbered}
        return self._try_send(outgoing)

    def _gone(self, route: bytes) -> None:
        for outgoing in self._outboxes.get(route, ()):
            self._owe(outgoing)
        self._forget_outbox(route)
        self.routes.forget(route)
        of_no_request(self._loop.call_soon, self._on_gone, self.name, route)

    def _look_again(self) -> None:
        if not self._drain_scheduled and events(self.socket) & READABLE:
            self._drain_scheduled = True
            of_no_request(self._loop.call_soon, self._drain)

    def _drain(self) -> None:
        self._drain_scheduled = False
        for taken in self._intake.turn():
            try:
                self._receive(taken)
            except Exception:
                # The descriptor tells of no message twice: were this to end the loop, all that wait would wait on.
                log.exception("incident %s in a message on %s", incident_number(), self.name)
        if not self.socket.closed:
            self._look_again()

    def _finished(self, descriptor: int, size: int) -> None:
        if self._connections is not None:
            # Descriptors are given out again: what happened before this message was sent stands in the queue already.
            self._connections.look()
            self._connections.finished(descriptor, size)

    def _receive(self, taken: Taken) -> None:
        route = taken.frames[0]
        if self._connections is None and taken.frames[1:] == [b""]:
            # Inside one process nothing tells of an end but the client itself.
            self._gone(route)
            return
        try:
            message = self._wire.unpack(taken.frames)
        except WireError as error:
            self.dropped.add(error.reason)
            return
        if self._connections is not None:
            self._connections.trust(taken.descriptor)
        if not self._tells_of_ends or self._connections is None:
            self._on_message(self.name, message)
            return
        live = self._connections.lives(taken.descriptor)
        if live and self.routes.spoke(route, taken.descriptor, self._connections.live):
            self._on_returned(self.name, route)
        if live and self._owed:
            for reply in self._owed.take(route, message.msg_id):
                self.send(Outgoing(reply))
        self._on_message(self.name, message)
        if not live and not self.routes.known(route):
            # It was sent by one that has ended since, and no other has come in its place.
            self._gone(route)
