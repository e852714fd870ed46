"""A server on loopback that answers with bytes as they are told, not with HTTP: for what no HTTP library would send.

Each request is answered by a plan: bytes to send, and what to do between them. Requests are kept.
"""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

HELD_S = 30

Step = bytes | Literal["reset", "hang", "drip", "close"]
Plan = Sequence[Step]


@dataclass(frozen=True)
class RawAsked:
    """One request that came."""

    method: str
    path: str
    head: str
    body: bytes


def http(body: bytes, *fields: str, status: str = "200 OK", length: bool = True) -> bytes:
    """A whole answer."""
    counted = (f"Content-Length: {len(body)}",) if length else ()
    return "\r\n".join([f"HTTP/1.1 {status}", *counted, *fields, "", ""]).encode() + body


class RawServer:
    """The server; a context manager. `plan` makes the steps for a request; after them the connection stays open."""

    def __init__(self, plan: Callable[[RawAsked], Plan]) -> None:
        self.asked: list[RawAsked] = []
        self._plan = plan
        self._released = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.connected: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]

    @property
    def origin(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> RawServer:
        self._threads[0].start()
        return self

    def __exit__(self, *error: object) -> None:
        self._released.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self.connected:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(60)
        for connection in self.connected:
            connection.close()

    def _accept(self) -> None:
        while not self._released.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.settimeout(HELD_S)
            self.connected.append(connection)
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError):
            while (asked := _request(connection)) is not None:
                self.asked.append(asked)
                for step in self._plan(asked):
                    if not self._do(connection, step):
                        return

    def _do(self, connection: socket.socket, step: Step) -> bool:
        """False where the connection is at its end."""
        if isinstance(step, bytes):
            connection.sendall(step)
        elif step == "reset":
            # Closing with nothing to linger for is a reset.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.close()
            return False
        elif step == "close":
            connection.shutdown(socket.SHUT_RDWR)
            return False
        elif step == "hang":
            self._released.wait(HELD_S)
        else:
            while not self._released.wait(0.02):
                connection.sendall(b"x")
        return True


def _request(connection: socket.socket) -> RawAsked | None:
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65_536)
        if not piece:
            return None
        data += piece
        if data[:1] == b"\x16":
            # The greeting of TLS, which is answered with whatever comes next.
            return RawAsked("TLS", "", "", b"")
    head, _, body = data.partition(b"\r\n\r\n")
    text = head.decode("latin-1")
    length = next((int(line[15:]) for line in text.split("\r\n") if line.lower().startswith("content-length:")), 0)
    while len(body) < length:
        piece = connection.recv(65_536)
        if not piece:
            return None
        body += piece
    method, path, _ = text.split("\r\n")[0].split(" ", 2)
    return RawAsked(method, path, text, body)
