"""The five sockets of a kernel: bytes in, messages out, one owner each. Knows messages, not what they mean.

Raw sockets on the loop's reader, not zmq.asyncio: a token is one send, without a future. A ZeroMQ descriptor is edge
triggered, so after every send the socket is asked once more whether something has come in.
"""

from __future__ import annotations

import asyncio
import logging
import struct
from collections import Counter
from collections.abc import Callable

import zmq

from llmspell_kernel.doors.keyed_wire import KeyedWire
from llmspell_kernel.doors.outbox import Outbox, Outgoing
from llmspell_kernel.identity import KeyRing
from llmspell_protocol.connection import ConnectionInfo
from llmspell_protocol.incidents import as_incident, incident_number
from llmspell_protocol.messages import HeaderFactory, Message
from llmspell_protocol.wire import Wire, WireError

log = logging.getLogger(__name__)

RETRY_S = 0.010
_MONITOR_EVENT = struct.Struct("=HI")
_LINGER_MS = 2_000

OnMessage = Callable[[str, Message], None]
OnGone = Callable[[str, bytes], None]
"""(channel, routing id): no peer is connected any more, or, on stdin, not yet."""


class Router:
    """A ROUTER socket: sends never block and never get lost; the owner hears when a client is gone."""

    def __init__(
        self, name: str, socket: zmq.Socket[bytes], wire: KeyedWire, on_message: OnMessage, on_gone: OnGone
    ) -> None:
        self.name = name
        self.socket = socket
        self.dropped: Counter[str] = Counter()
        self._routes: set[bytes] = set()
        self._wire = wire
        self._on_message = on_message
        self._on_gone = on_gone
        self._outboxes: dict[bytes, Outbox] = {}
        self.taken = 0
        """How many messages have left that had to wait."""
        self._all_taken = asyncio.Event()
        self._all_taken.set()
        self._descriptors: dict[int, set[bytes]] = {}
        self._loop = asyncio.get_running_loop()
        self._drain_scheduled = False
        self._monitor: zmq.Socket[bytes] | None = None

    def open(self, watch_disconnects: bool) -> None:
        """Starts reading; the socket is bound already."""
        if watch_disconnects:
            self._monitor = self.socket.get_monitor_socket(zmq.EVENT_DISCONNECTED)
            self._loop.add_reader(self._monitor.FD, self._read_monitor)
            self._read_monitor()
        self._loop.add_reader(self.socket.FD, self._drain)
        self._drain()

    def close(self) -> None:
        """Stops reading and closes; what was sent has two seconds to leave."""
        self._loop.remove_reader(self.socket.FD)
        if self._monitor is not None:
            self._loop.remove_reader(self._monitor.FD)
            self.socket.disable_monitor()
            self._monitor.close(linger=0)
            self._monitor = None
        self.socket.close(linger=_LINGER_MS)

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
            self._loop.call_later(RETRY_S, self._retry, route)
        self._look_again()

    async def all_taken(self) -> None:
        """Waits until every client has taken what was sent to it, or counts as gone."""
        await self._all_taken.wait()

    def _forget_outbox(self, route: bytes) -> None:
        self._outboxes.pop(route, None)
        if not self._outboxes:
            self._all_taken.set()

    def _try_send(self, outgoing: Outgoing) -> bool:
        try:
            self.socket.send_multipart(self._wire.pack(outgoing.numbered()), zmq.NOBLOCK)
        except zmq.Again:
            return False
        except zmq.ZMQError as error:
            if error.errno != zmq.EHOSTUNREACH:
                raise
            self._gone(outgoing.message.identities[0])
        return True

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
            self._loop.call_later(RETRY_S, self._retry, route)
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
        self._forget_outbox(route)
        self._routes.discard(route)
        self._loop.call_soon(self._on_gone, self.name, route)

    def _look_again(self) -> None:
        if not self._drain_scheduled and int(self.socket.getsockopt(zmq.EVENTS)) & zmq.POLLIN:
            self._drain_scheduled = True
            self._loop.call_soon(self._drain)

    def _drain(self) -> None:
        self._drain_scheduled = False
        # A bounded number, so that a flood on one socket leaves time for the others.
        for _ in range(64):
            if self.socket.closed:
                return
            try:
                first = self.socket.recv(zmq.NOBLOCK, copy=False)
            except zmq.Again:
                return
            rest = self.socket.recv_multipart(zmq.NOBLOCK) if first.more else []
            try:
                self._receive(first, [first.bytes, *rest])
            except Exception:
                # The descriptor tells of no message twice: were this to end the loop, all that wait would wait on.
                log.exception("incident %s in a message on %s", incident_number(), self.name)
        self._look_again()

    def _receive(self, first: zmq.Frame, frames: list[bytes]) -> None:
        try:
            message = self._wire.unpack(frames)
        except WireError as error:
            self.dropped[error.reason] += 1
            log.warning("dropped a message on %s: %s", self.name, error.reason)
            return
        route = frames[0]
        if route not in self._routes:
            self._remember(route, first)
        self._on_message(self.name, message)

    def _remember(self, route: bytes, first: zmq.Frame) -> None:
        self._routes.add(route)
        if self._monitor is None:
            return
        # An older connection may have had this descriptor: its end stands in the monitor's queue already.
        self._read_monitor()
        self._descriptors.setdefault(first.get(zmq.SRCFD), set()).add(route)

    def _read_monitor(self) -> None:
        while self._monitor is not None:
            try:
                event, _address = self._monitor.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            _kind, descriptor = _MONITOR_EVENT.unpack(event)
            for route in self._descriptors.pop(descriptor, ()):
                self._gone(route)


class Channels:
    """Shell, control, stdin, iopub and heartbeat of one kernel; belongs to the loop that opened it."""

    def __init__(self, info: ConnectionInfo, ring: KeyRing, on_message: OnMessage, on_gone: OnGone) -> None:
        self.info = info
        self.headers = HeaderFactory()
        self._wire = KeyedWire(ring)
        # Everything on IOPub goes to everyone who listens there.
        self._iopub_wire = Wire(ring.connection.secret, refuse_replays=False)
        self._on_message = on_message
        self._on_gone = on_gone
        self._topic = f"kernel.{self.headers.session}".encode()
        self._routers: dict[str, Router] = {}
        self._iopub: zmq.Socket[bytes] | None = None
        self._heartbeat: zmq.Socket[bytes] | None = None

    @property
    def dropped(self) -> Counter[str]:
        """How many messages were dropped, by reason."""
        return sum((router.dropped for router in self._routers.values()), Counter())

    @property
    def tells_of_ends(self) -> bool:
        """Whether the end of a connection to shell or control is told at once, not first when a send fails."""
        return self.info.transport != "inproc"

    def bind(self, sockets: dict[str, zmq.Socket[bytes]]) -> None:
        """Takes the bound sockets (see `bind_sockets`) and starts reading."""
        loop = asyncio.get_running_loop()
        for name in ("shell", "control", "stdin"):
            router = Router(name, sockets[name], self._wire, self._on_message, self._on_gone)
            self._routers[name] = router
            router.open(watch_disconnects=name != "stdin" and self.tells_of_ends)
        self._iopub, self._heartbeat = sockets["iopub"], sockets["hb"]
        loop.add_reader(self._iopub.FD, self._read_subscriptions)
        loop.add_reader(self._heartbeat.FD, self._echo)
        self._read_subscriptions()
        self._echo()

    async def all_taken(self, patience_s: float) -> None:
        """Waits until slow clients have taken their replies, or take nothing for so long; five times that at most."""
        waiting = {asyncio.create_task(router.all_taken()) for router in self._routers.values()}
        before = -1
        for _ in range(5):
            taken = sum(router.taken for router in self._routers.values())
            if not waiting or taken == before:
                break
            before = taken
            _done, waiting = await asyncio.wait(waiting, timeout=patience_s)
        for task in waiting:
            task.cancel()

    def close(self) -> None:
        """Closes all five sockets."""
        loop = asyncio.get_running_loop()
        for router in self._routers.values():
            router.close()
        for socket in (self._iopub, self._heartbeat):
            if socket is not None:
                loop.remove_reader(socket.FD)
                socket.close(linger=_LINGER_MS)
        self._iopub = self._heartbeat = None

    def send(self, channel: str, outgoing: Outgoing) -> None:
        """Sends on shell, control or stdin."""
        self._routers[channel].send(outgoing)

    def publish(self, message: Message, topic: str | None = None) -> None:
        """Sends on IOPub, always as JSON: a frontend's JSON session fails on anything else."""
        if self._iopub is None:
            return
        prefix = topic.encode() if topic is not None else self._topic + b"." + message.msg_type.encode()
        message.identities = [prefix]
        try:
            self._iopub.send_multipart(self._iopub_wire.pack(message, "json"), zmq.NOBLOCK)
        except zmq.Again:
            log.warning("IOPub is full; a subscriber does not read")
        self._read_subscriptions()

    def _read_subscriptions(self) -> None:
        while self._iopub is not None:
            try:
                frames = self._iopub.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            if frames[0][:1] == b"\x01":
                self._welcome(frames[0][1:])

    def _welcome(self, topic: bytes) -> None:
        # JEP 65: a client that has seen this misses nothing that is published from here on.
        subscription = topic.decode("utf-8", "replace")
        message = Message(self.headers("iopub_welcome"), {"subscription": subscription}, identities=[topic])
        assert self._iopub is not None
        self._iopub.send_multipart(self._iopub_wire.pack(message, "json"), zmq.NOBLOCK)

    def _echo(self) -> None:
        while self._heartbeat is not None:
            try:
                frames = self._heartbeat.recv_multipart(zmq.NOBLOCK)
                self._heartbeat.send_multipart(frames, zmq.NOBLOCK)
            except zmq.Again:
                return
