"""One GET to a JSON service with a deadline, over a plain socket: for health checks that must not import a client.

Knows HTTP/1.0 as far as that needs it, so that an answer ends with its connection.
"""

from __future__ import annotations

import asyncio
import errno
import json
import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

MAX_ANSWER_BYTES = 16 * 1024 * 1024
_PIECE_BYTES = 256 * 1024
_TOO_MUCH = "it answers with more than any list of models"


class ProbeFailed(Exception):
    """Nothing of use came back; the text says why, in words for people. `status` is that of an HTTP answer."""

    def __init__(self, why: str, status: int | None = None) -> None:
        super().__init__(why)
        self.status = status


@dataclass(frozen=True, slots=True)
class Answer:
    """The JSON that came back, and how long the whole exchange took."""

    content: Any
    latency_ms: float


async def get_json(
    base_url: str, path: str, *, deadline_s: float, headers: Mapping[str, str] = MappingProxyType({})
) -> Answer:
    """The JSON at `base_url` + `path`; `headers` go with the request.

    Raises:
        ProbeFailed: refused, too slow, or something else than JSON with status 200.
    """
    began = time.monotonic()
    try:
        async with asyncio.timeout(deadline_s):
            status, body = await _exchange(base_url, path, headers)
    except TimeoutError:
        raise ProbeFailed(f"no answer within {deadline_s:g} s") from None
    except socket.gaierror:
        raise ProbeFailed(f"no such host: {urlsplit(base_url).hostname}") from None
    except ssl.SSLError as error:
        raise ProbeFailed(f"no secure connection: {error.reason or error}") from None
    except OSError as error:
        raise ProbeFailed(_words(error)) from None
    if status != 200:
        raise ProbeFailed(f"it answers with status {status} to {path}", status)
    try:
        content = json.loads(body)
    except ValueError:
        raise ProbeFailed(f"it answers with something else than JSON to {path}") from None
    return Answer(content, (time.monotonic() - began) * 1000)


async def _exchange(base_url: str, path: str, headers: Mapping[str, str]) -> tuple[int, bytes]:
    address = urlsplit(base_url)
    secure = address.scheme == "https"
    host, port = address.hostname or "localhost", address.port or (443 if secure else 80)
    reader, writer = await asyncio.open_connection(host, port, ssl=secure or None, limit=MAX_ANSWER_BYTES)
    try:
        target = f"{address.path.rstrip('/')}{path}"
        host_header = address.netloc.rpartition("@")[2]
        fields = {"Host": host_header, "Accept": "application/json", **headers}
        lines = [f"GET {target} HTTP/1.0", *(f"{name}: {value}" for name, value in fields.items())]
        writer.write("\r\n".join([*lines, "", ""]).encode())
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        length = next(
            (
                int(value)
                for line in head.split("\r\n")
                for name, _, value in [line.partition(":")]
                if name.lower() == "content-length" and value.strip().isdigit()
            ),
            None,
        )
        if length is not None and length > MAX_ANSWER_BYTES:
            raise ProbeFailed(_TOO_MUCH)
        body = await (_to_the_end(reader) if length is None else reader.readexactly(length))
        protocol, _, rest = head.partition(" ")
        if not protocol.startswith("HTTP/") or not rest[:3].isdigit():
            raise ProbeFailed("it does not speak HTTP")
        return int(rest[:3]), body
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        raise ProbeFailed("it closed the connection without an HTTP answer") from None
    finally:
        writer.close()


async def _to_the_end(reader: asyncio.StreamReader) -> bytes:
    # As Go's servers send what is longer than 2 KB to a client of HTTP/1.0: without a length, and in pieces.
    body = bytearray()
    while piece := await reader.read(_PIECE_BYTES):
        body += piece
        if len(body) > MAX_ANSWER_BYTES:
            raise ProbeFailed(_TOO_MUCH)
    return bytes(body)


def _words(error: OSError) -> str:
    if isinstance(error, ConnectionRefusedError) or error.errno == errno.ECONNREFUSED:
        return "connection refused"
    # asyncio joins the failures of several addresses (::1 and 127.0.0.1) into one text.
    return "connection refused" if "refused" in str(error).lower() else str(error.strerror or error)
