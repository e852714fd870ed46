"""Sockets without a client around them, for tests that send what no client would."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import zmq

from llmspell_protocol.connection import Channel, ConnectionInfo
from llmspell_protocol.messages import HeaderFactory, Message
from llmspell_protocol.wire import Wire

DEADLINE_MS = 60_000


class RawSocket:
    """One DEALER (on iopub: XSUB) to one channel of a kernel; signs with whatever key it is given."""

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        info: ConnectionInfo,
        channel: Channel,
        key: str,
        hwm: int,
        key_id: str,
        name: str | None,
    ) -> None:
        self.socket = context.socket(zmq.XSUB if channel == "iopub" else zmq.DEALER)
        self.socket.linger = 0
        self.routing_id = f"{key_id}.{name or os.urandom(12).hex()}".removeprefix(".").encode()
        self.socket.setsockopt(zmq.ROUTING_ID, self.routing_id)
        self.socket.setsockopt(zmq.RCVHWM, hwm)
        if hwm == 1:
            # Else the system grows its buffer to any size, 32 MB on some machines, and a sender never has to wait.
            self.socket.setsockopt(zmq.RCVBUF, 65_536)
        self.socket.setsockopt(zmq.RCVTIMEO, DEADLINE_MS)
        self.socket.setsockopt(zmq.SNDTIMEO, DEADLINE_MS)
        self._connected = self.socket.get_monitor_socket(zmq.EVENT_HANDSHAKE_SUCCEEDED)
        self._connected.setsockopt(zmq.RCVTIMEO, DEADLINE_MS)
        self.socket.connect(info.endpoint(channel))
        self.headers = HeaderFactory()
        self._wire = Wire(key.encode(), refuse_replays=False)

    def wait_connected(self) -> None:
        """Waits until the kernel has shaken hands."""
        self._connected.recv_multipart()

    def close(self) -> None:
        """Closes at once; a second time does nothing."""
        if not self.socket.closed:
            self.socket.disable_monitor()
            self.socket.close()
        self._connected.close(linger=0)

    def message(self, msg_type: str, content: dict[str, Any], metadata: dict[str, Any] | None = None) -> Message:
        """A new request."""
        return Message(self.headers(msg_type), content, metadata=metadata)

    def send(self, message: Message) -> list[bytes]:
        """Sends a message; returns its frames, so that they can be sent again."""
        frames = self._wire.pack(message)
        self.socket.send_multipart(frames)
        return frames

    def receive(self) -> Message:
        """The next message; fails after a minute without one."""
        return self._wire.unpack(self.socket.recv_multipart())

    def receive_until(self, msg_type: str) -> list[Message]:
        """The next messages up to one of this type, all of them taken off the socket before any is read."""
        ending = f'"{msg_type}"'.encode()
        taken = []
        while not taken or not any(ending in frame for frame in taken[-1]):
            taken.append(self.socket.recv_multipart())
        return [self._wire.unpack(frames) for frames in taken]

    def reply_to(self, request: Message) -> Message:
        """The reply to a request, past its progress and deltas."""
        while True:
            message = self.receive()
            if message.parent_id == request.msg_id and message.msg_type.endswith("_reply"):
                return message


@contextmanager
def raw_socket(
    info: ConnectionInfo,
    channel: Channel = "shell",
    *,
    key: str | None = None,
    hwm: int = 1000,
    key_id: str = "conn",
    name: str | None = None,
) -> Iterator[RawSocket]:
    """A raw socket for the time of a block; those of one `name` are the sockets of one client.

    Without a `key_id` it has an id as frontends have one, else one as our own clients do.
    """
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    raw = RawSocket(context, info, channel, info.key if key is None else key, hwm, key_id, name)
    try:
        yield raw
    finally:
        raw.close()
        context.term()
