"""How HTTP gets its connections: to the addresses that a check of the host gives, and until a deadline.

Imported by what makes a client, when it makes one: it brings in httpcore2 and httpx2.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import httpcore2
import httpx2

_WRITE_PIECE = 1 << 16

Check = Callable[[str, int], Sequence[str]]
"""The addresses that a host and port may be reached at; what it raises goes through to the caller."""


class Deadline:
    """A point in time by which all has to be done, however many pieces it comes in."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._end = time.monotonic() + seconds

    @property
    def left_s(self) -> float:
        """The seconds that are left; 0 where it is over."""
        return max(0.0, self._end - time.monotonic())

    def within(self, timeout: float | None, error: type[Exception]) -> float:
        """The shorter of a timeout and what is left; raises `error` where nothing is."""
        left = self.left_s
        if not left:
            raise error(f"not done within {self.seconds:g}s")
        return left if timeout is None else min(left, timeout)


class _Stream(httpcore2.NetworkStream):
    """A connection whose every step ends with the deadline."""

    def __init__(self, stream: httpcore2.NetworkStream, deadline: Deadline) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._deadline.within(timeout, httpcore2.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        # In pieces: the library's timeout is each time for what the other end takes at once.
        for start in range(0, len(buffer), _WRITE_PIECE):
            piece = buffer[start : start + _WRITE_PIECE]
            self._stream.write(piece, self._deadline.within(timeout, httpcore2.WriteTimeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        within = self._deadline.within(timeout, httpcore2.ConnectTimeout)
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, within), self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class _CheckedBackend(httpcore2.NetworkBackend):
    """Connects to the addresses that the check of a host gave, so that no name is looked up a second time."""

    def __init__(self, check: Check, deadline: Deadline) -> None:
        self._check = check
        self._deadline = deadline
        self._backend = httpcore2.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.NetworkStream:
        addresses = list(self._check(host, port))
        while True:
            # One that doesn't answer leaves time for the others.
            within = self._deadline.within(timeout, httpcore2.ConnectTimeout) / len(addresses)
            try:
                stream = self._backend.connect_tcp(addresses.pop(0), port, within, local_address, socket_options or ())
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout):
                if not addresses:
                    raise
            else:
                return _Stream(stream, self._deadline)


class _Body(httpx2.SyncByteStream):
    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __iter__(self) -> Iterator[bytes]:
        yield from self._stream

    def close(self) -> None:
        self._stream.close()


class CheckedTransport(httpx2.BaseTransport):
    """Requests to checked addresses; errors of a connection are httpcore2's.

    TLS is held to the host's name and the system's certificates, or to what `ssl_context` says.
    """

    def __init__(self, check: Check, deadline: Deadline, ssl_context: ssl.SSLContext | None) -> None:
        self._pool = httpcore2.ConnectionPool(
            ssl_context=ssl_context, network_backend=_CheckedBackend(check, deadline), max_connections=1
        )

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        url = request.url
        answer = self._pool.handle_request(
            httpcore2.Request(
                method=request.method,
                url=httpcore2.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
                headers=request.headers.raw,
                content=request.stream,
                extensions=request.extensions,
            )
        )
        return httpx2.Response(
            answer.status, headers=answer.headers, stream=_Body(answer.stream), extensions=answer.extensions
        )

    def close(self) -> None:
        self._pool.close()
