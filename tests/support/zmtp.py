"""ZMTP 3.0 by hand, for tests that send what no ZeroMQ library would: a plain socket, a handshake, frames as bytes."""

from __future__ import annotations

import socket
import struct

from llmspell_protocol.connection import Channel, ConnectionInfo

DEADLINE_S = 60.0
GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"NULL".ljust(20, b"\0") + b"\0" + bytes(31)


def frame(data: bytes, *, more: bool = False) -> bytes:
    """One part of a message as it travels."""
    if len(data) < 256:
        return bytes([int(more), len(data)]) + data
    return bytes([2 | int(more)]) + struct.pack(">Q", len(data)) + data


def message(*parts: bytes) -> bytes:
    """A whole message as it travels."""
    return b"".join(frame(part, more=True) for part in parts[:-1]) + frame(parts[-1])


def ready(socket_type: bytes, identity: bytes = b"") -> bytes:
    """The command that ends a handshake."""
    body = b"\x05READY"
    for name, value in ((b"Socket-Type", socket_type), (b"Identity", identity)):
        body += bytes([len(name)]) + name + struct.pack(">I", len(value)) + value
    return b"\x04" + bytes([len(body)]) + body


def dial(info: ConnectionInfo, channel: Channel) -> socket.socket:
    """A connection to a channel on which nothing has been said."""
    endpoint = info.endpoint(channel)
    if info.transport == "ipc":
        peer = socket.socket(socket.AF_UNIX)
        peer.settimeout(DEADLINE_S)
        peer.connect(endpoint.removeprefix("ipc://"))
        return peer
    return socket.create_connection((info.ip, info.ports[channel]), timeout=DEADLINE_S)


def shake_hands(info: ConnectionInfo, channel: Channel, identity: bytes = b"") -> socket.socket:
    """A connection that may send messages; it never reads what comes beyond the handshake."""
    peer = dial(info, channel)
    peer.sendall(GREETING + ready(b"SUB" if channel == "iopub" else b"DEALER", identity))
    greeting = b""
    while len(greeting) < len(GREETING) + 2:
        data = peer.recv(len(GREETING) + 2 - len(greeting))
        if not data:
            raise ConnectionError("the kernel ended the handshake")
        greeting += data
    return peer
