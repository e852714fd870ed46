"""The ZeroMQ sockets of one client: opened when first needed, read without blocking, watched for their end.

Knows file descriptors to wait on but never waits: the drivers poll. Three facts of libzmq 4.3 carry this module. A
socket's descriptor is edge-triggered and armed only by looking, so each socket is looked at after each opening, sending
and waking. On tcp and ipc a monitor tells of refusals, handshakes and ends; with RECONNECT_IVL -1 the end would throw
away what has come and was not read yet (a last reply, as a rule), so the interval is a day instead and a lost socket is
closed by us. inproc has no monitor: there a lost peer takes the DEALER's only pipe away, and it can't be written to.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Sequence

import zmq

from llmspell_protocol.client.core import ClientCore
from llmspell_protocol.connection import Channel, ConnectionInfo
from llmspell_protocol.errors import KernelUnreachable
from llmspell_protocol.wire import MAX_MESSAGE_BYTES
from llmspell_protocol.zmq_calls import READABLE, WRITABLE, events, send_frames

LINGER_MS = 200
"""How long a closing client may take to get out what it has sent, such as a cancel."""
HEARTBEAT_IVL_MS = 5_000
HEARTBEAT_TIMEOUT_MS = 10_000
"""On tcp to other machines, where a peer can vanish without a word."""

_NEVER_MS = 24 * 3600 * 1000
_MONITOR_EVENT = struct.Struct("=Hi")
_FAILURES = {
    int(zmq.EVENT_CLOSED): "connection refused",
    int(zmq.EVENT_DISCONNECTED): "the connection was closed at once: no kernel, or one that is ending",
    int(zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL): "the connection was closed at once: no kernel, or one that is ending",
    int(zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL): "what listens there does not speak ZeroMQ",
    int(zmq.EVENT_HANDSHAKE_FAILED_AUTH): "the kernel wants encrypted connections",
}
_MONITORED = zmq.EVENT_HANDSHAKE_SUCCEEDED | sum(_FAILURES)
_BROKEN = "the connection broke; the kernel has probably ended"
_PROBE_BYTES = b"llmspell"


def _say_goodbye(socket: zmq.Socket[bytes]) -> None:
    # Inside one process no connection ends: the kernel hears of it by this, or when it next sends.
    try:
        socket.send(b"", zmq.NOBLOCK)
    except zmq.ZMQError:
        pass  # The kernel has gone before.


class _Link:
    """One socket and its monitor; `up` once the peer is known to be there."""

    __slots__ = ("channel", "endpoint", "fd", "monitor", "monitor_fd", "socket", "up")

    def __init__(self, channel: Channel, endpoint: str, socket: zmq.Socket[bytes]) -> None:
        self.channel = channel
        self.endpoint = endpoint
        self.socket = socket
        self.fd = int(socket.get(zmq.FD))
        self.monitor: zmq.Socket[bytes] | None = None
        self.monitor_fd = -1
        self.up = False


class Links:
    """All sockets of one client. `watch(fd)` and `unwatch(fd)` tell the driver which descriptors to wait on."""

    def __init__(
        self,
        info: ConnectionInfo,
        core: ClientCore,
        context: zmq.Context[zmq.Socket[bytes]],
        key_id: str,
        watch: Callable[[int], object],
        unwatch: Callable[[int], object],
    ) -> None:
        self._info = info
        self._core = core
        self._context = context
        # One id for shell, control and stdin: the kernel asks for input at the id that the request came from.
        self._routing_id = f"{key_id}.{os.urandom(12).hex()}".encode()
        self._watch = watch
        self._unwatch = unwatch
        self._open: dict[Channel, _Link] = {}
        self._held: list[list[bytes]] = []
        self.heartbeat_answered = False
        self.lost: KernelUnreachable | None = None
        """Why the connection is over, once it is."""

    def send(self, channel: Channel, frames: Sequence[bytes], *, after_stdin: bool = False) -> None:
        """Sends one message, opening the channel first where needed.

        With `after_stdin` it waits until the kernel can reach us on stdin; `drain` sends it then.
        """
        self.open(channel)
        if after_stdin:
            self.open("stdin")
            stdin = self._open.get("stdin")
            if stdin is not None and not stdin.up:
                self._held.append(list(frames))
                return
        self._transmit(channel, frames)

    def probe_heartbeat(self) -> None:
        """Asks the heartbeat channel for an echo; `heartbeat_answered` tells when it has come."""
        self.open("hb")
        # The empty frame makes a DEALER look like the REQ that the channel's REP expects.
        self._transmit("hb", [b"", _PROBE_BYTES])

    def open(self, channel: Channel) -> None:
        """Connects a channel unless it is; its failure shows in `drain`.

        Raises:
            KernelUnreachable: the address itself is impossible (an unknown host).
        """
        if channel in self._open:
            return
        endpoint = self._info.endpoint(channel)
        if not self._open:
            self._check_host()
        socket = self._context.socket(zmq.SUB if channel == "iopub" else zmq.DEALER)
        socket.set(zmq.LINGER, LINGER_MS)
        socket.set(zmq.RECONNECT_IVL, _NEVER_MS)
        # The core refuses to send what is too large; unlimited here, so that a full queue can't look like a lost peer.
        socket.set(zmq.SNDHWM, 0)
        socket.set(zmq.MAXMSGSIZE, MAX_MESSAGE_BYTES)
        if channel == "iopub":
            socket.set(zmq.RCVHWM, 0)
            socket.set(zmq.SUBSCRIBE, b"")
        elif channel != "hb":
            socket.set(zmq.ROUTING_ID, self._routing_id)
        if self._info.transport == "tcp":
            socket.set(zmq.IPV6, ":" in self._info.ip)
            if not self._info.loopback:
                socket.set(zmq.HEARTBEAT_IVL, HEARTBEAT_IVL_MS)
                socket.set(zmq.HEARTBEAT_TIMEOUT, HEARTBEAT_TIMEOUT_MS)
        link = _Link(channel, endpoint, socket)
        self._open[channel] = link
        if self._info.transport == "inproc":
            link.up = True
        else:
            self._monitor(link)
        try:
            socket.connect(endpoint)
        except zmq.ZMQError as error:
            raise self._unreachable(str(error)) from None
        self._watch(link.fd)
        self._look(link)

    def drain(self) -> None:
        """Takes in all that has come, then looks which peers are gone.

        Safe to call at any time; what it finds goes to the core.
        """
        for link in tuple(self._open.values()):
            self._look(link)

    def close(self) -> None:
        """Closes all sockets; what was sent has `LINGER_MS` to get out."""
        for link in self._open.values():
            if self._info.transport == "inproc" and link.channel in ("shell", "control"):
                _say_goodbye(link.socket)
            self._stop_monitor(link)
            self._unwatch(link.fd)
            link.socket.close()
        self._open.clear()

    def _transmit(self, channel: Channel, frames: Sequence[bytes]) -> None:
        link = self._open.get(channel)
        if link is not None:  # Otherwise it has just been lost, and the core knows.
            send_frames(link.socket, frames)
            self._look(link)

    def _look(self, link: _Link) -> None:
        if self._open.get(link.channel) is not link:
            return  # Lost while another link was looked at.
        # First the monitor: what it tells the end of has been received completely by then.
        cause = self._read_monitor(link) if link.monitor is not None else None
        self._read(link)
        if link.monitor is None and link.channel != "iopub" and not events(link.socket) & WRITABLE:
            cause = _BROKEN
        if cause is not None:
            self._lose(link, cause)

    def _read(self, link: _Link) -> None:
        while events(link.socket) & READABLE:
            frames = link.socket.recv_multipart(zmq.NOBLOCK)
            if link.channel == "hb":
                self.heartbeat_answered |= frames[-1] == _PROBE_BYTES
            else:
                self._core.receive(link.channel, frames)

    def _read_monitor(self, link: _Link) -> str | None:
        """Why the link is lost, if it is."""
        monitor = link.monitor
        while monitor is not None and events(monitor) & READABLE:
            event, _ = _MONITOR_EVENT.unpack(monitor.recv_multipart(zmq.NOBLOCK)[0])
            if event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
                link.up = True
                if link.channel == "stdin":
                    self._release_held()
            elif link.up:
                return _BROKEN
            else:
                return self._refusal(link) if event == zmq.EVENT_CLOSED else _FAILURES[event]
        return None

    def _check_host(self) -> None:
        if self._info.loopback or not any(character.isalpha() for character in self._info.ip):
            return
        # libzmq waits without a word on a name that means nothing. Imported here: only names need it.
        import socket

        try:
            socket.getaddrinfo(self._info.ip, self._info.shell_port, type=socket.SOCK_STREAM)
        except OSError as error:
            from llmspell_protocol.plain_reasons import plain_reason

            raise self._unreachable(plain_reason((error.strerror or str(error)).lower())) from None

    def _refusal(self, link: _Link) -> str:
        if self._info.transport != "tcp":
            return f"nothing listens on {link.endpoint}"
        # The monitor keeps the reason to itself; a plain connection tells. Imported here: only a failure needs it.
        import socket

        try:
            socket.create_connection((self._info.ip, self._info.ports[link.channel]), timeout=0.2).close()
        except OSError as error:
            return (error.strerror or str(error)).lower()
        return _FAILURES[zmq.EVENT_CLOSED]

    def _release_held(self) -> None:
        held, self._held = self._held, []
        for frames in held:
            self._transmit("shell", frames)

    def _monitor(self, link: _Link) -> None:
        address = f"inproc://llmspell-monitor-{id(self):x}-{link.channel}"
        link.socket.monitor(address, _MONITORED)
        link.monitor = self._context.socket(zmq.PAIR)
        link.monitor.set(zmq.LINGER, 0)
        link.monitor.connect(address)
        link.monitor_fd = int(link.monitor.get(zmq.FD))
        self._watch(link.monitor_fd)

    def _stop_monitor(self, link: _Link) -> None:
        if link.monitor is not None:
            self._unwatch(link.monitor_fd)
            link.socket.disable_monitor()
            link.monitor.close()
            link.monitor = None

    def _lose(self, link: _Link, cause: str) -> None:
        error = self._unreachable(cause)
        del self._open[link.channel]
        self._stop_monitor(link)
        self._unwatch(link.fd)
        link.socket.close(linger=0)
        if link.channel in ("shell", "stdin", "iopub"):
            # Without one of these no new request is possible, and none on shell goes on. On control the last answer may
            # be on its way still: a kernel that ends breaks one connection after the other.
            self.lost = error
            self._held.clear()
            self._core.fail(error, None if "control" not in self._open else "shell")
        else:
            self._core.fail(error, link.channel)

    def _unreachable(self, cause: str) -> KernelUnreachable:
        return KernelUnreachable(
            f"no kernel at {self._info.address}: {cause}",
            hint="`llmspell kernel status` lists the kernels that run; start one: llmspell kernel start",
            details={"address": self._info.address, "cause": cause},
        )
