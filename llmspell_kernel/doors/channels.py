"""The five sockets of a kernel: bytes in, messages out, one owner each. Knows messages, not what they mean."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable

import zmq

from llmspell_kernel.doors.connections import Connections
from llmspell_kernel.doors.heartbeat import Heartbeat
from llmspell_kernel.doors.iopub import IoPub
from llmspell_kernel.doors.keyed_wire import KeyedWire
from llmspell_kernel.doors.outbox import Outgoing
from llmspell_kernel.doors.router import OnGone, OnMessage, OnReturned, Router
from llmspell_kernel.doors.unfinished import Unfinished, available
from llmspell_kernel.identity import KeyRing
from llmspell_protocol.connection import ConnectionInfo
from llmspell_protocol.messages import HeaderFactory, Message
from llmspell_protocol.wire import Wire


class Channels:
    """Shell, control, stdin, iopub and heartbeat of one kernel; belongs to the loop that opened it."""

    def __init__(
        self,
        info: ConnectionInfo,
        ring: KeyRing,
        on_message: OnMessage,
        on_gone: OnGone,
        on_returned: OnReturned,
        on_stdin: Callable[[], None],
    ) -> None:
        self.info = info
        self.headers = HeaderFactory()
        self._wire = KeyedWire(ring)
        # Everything on IOPub goes to everyone who listens there.
        self._iopub_wire = Wire(ring.connection.secret, refuse_replays=False)
        self._on_message = on_message
        self._on_gone = on_gone
        self._on_returned = on_returned
        self._on_stdin = on_stdin
        self._routers: dict[str, Router] = {}
        self._iopub: IoPub | None = None
        self._heartbeat: Heartbeat | None = None
        self._connections: list[Connections] = []
        self._unfinished: Unfinished | None = None

    @property
    def dropped(self) -> Counter[str]:
        """How many messages were dropped, by reason; connections that were cut count as messages."""
        counters: list[Counter[str]] = [router.dropped for router in self._routers.values()]
        counters += [channel.dropped for channel in (self._iopub, self._heartbeat) if channel is not None]
        return sum(counters, Counter())

    @property
    def tells_of_ends(self) -> bool:
        """Whether the end of a connection to shell or control is told at once, not first when a send fails."""
        return self.info.transport != "inproc"

    def bind(self, sockets: dict[str, zmq.Socket[bytes]]) -> None:
        """Takes the bound sockets (see `bind_sockets`) and starts reading."""
        for name in ("shell", "control", "stdin"):
            router = self._routers[name] = Router(
                name, sockets[name], self._wire, self._on_message, self._on_gone, self._on_returned
            )
            connections = self._watched(sockets[name], router.ended)
            # A client says nothing on stdin unasked, so that nothing tells which connection there is whose.
            router.open(connections, tells_of_ends=name != "stdin")
            if name == "stdin" and connections is not None:
                connections.on_ready = self._on_stdin
        self._iopub = IoPub(sockets["iopub"], self._iopub_wire, self.headers)
        self._iopub.open(self._watched(sockets["iopub"], self._iopub.ended))
        self._heartbeat = Heartbeat(sockets["hb"])
        self._heartbeat.open(self._watched(sockets["hb"], _unheard))
        if self.info.transport == "tcp" and available():
            self._unfinished = Unfinished(self._connections, self._count_cut)

    def _watched(self, socket: zmq.Socket[bytes], on_end: Callable[[int], None]) -> Connections | None:
        if not self.tells_of_ends:
            return None
        self._connections.append(Connections(socket.context, socket, on_end))
        return self._connections[-1]

    def _count_cut(self) -> None:
        self._routers["shell"].dropped["unfinished"] += 1

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
        if self._unfinished is not None:
            self._unfinished.close()
        for connections in self._connections:
            connections.close()
        for router in self._routers.values():
            router.close()
        for socket in (self._iopub, self._heartbeat):
            if socket is not None:
                socket.close()

    def send(self, channel: str, outgoing: Outgoing) -> None:
        """Sends on shell, control or stdin."""
        self._routers[channel].send(outgoing)

    def backlog(self, channel: str, route: bytes) -> int:
        """Messages that a client of that id has not taken yet."""
        return self._routers[channel].backlog(route)

    def offer(self, channel: str, message: Message) -> bool:
        """Sends on shell, control or stdin if a client of that id is there and takes it now; whether it did."""
        return self._routers[channel].offer(message)

    def connections_made(self, channel: str) -> int | None:
        """How many connections a channel has had that could be sent to; None where nothing tells of them."""
        return self._routers[channel].connections_made()

    def publish(self, message: Message, topic: str | None = None) -> None:
        """Sends on IOPub."""
        if self._iopub is not None:
            self._iopub.publish(message, topic)


def _unheard(_: int) -> None:
    """Nothing is kept of the heartbeat's connections."""
