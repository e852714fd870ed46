"""One GET to a JSON service with a deadline, over a plain socket: for health checks that must not import a client.

Knows HTTP/1.0 without TLS as far as that needs it, so that an answer ends with its connection. All else (TLS, a proxy,
redirects, compression, chunks) is the client's, which is imported for it.
"""

from __future__ import annotations

import asyncio
import errno
import re
import socket
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from llmspell_protocol.addresses import Address
from llmspell_protocol.proxies import proxy_for
from llmspell_providers.http.bounded import TooLong, Undecodable
from llmspell_providers.http.limits import LIST_BYTES
from llmspell_providers.http.lines import NoJson, parse_json

MAX_ANSWER_BYTES = LIST_BYTES
_MAX_HEAD_BYTES = 64 * 1024
_PIECE_BYTES = 256 * 1024
_TOO_MUCH = "it answers with more than any list of models"
_STATUS = r"HTTP/1\.[01] ([0-9]{3})(?: [\t\x20-\x7e\x80-\xff]*)?\r"
_FIELDS = r"\n(?:[!#-'*+.^-z|~0-9A-Z-]+:[\t\x20-\x7e\x80-\xff]*\r\n)*"
"""What a head is made of where it is one; all others are for the client to judge."""
_REDIRECTS = (301, 302, 303, 307, 308)


class ProbeFailed(Exception):
    """Nothing of use came back; the text says why, in words for people. `status` is that of an HTTP answer.

    `again` is whether another try may come to something else.
    """

    def __init__(self, why: str, status: int | None = None, *, again: bool = True) -> None:
        super().__init__(why)
        self.status = status
        self.again = again


_Exchange = Callable[[Address, str, Mapping[str, str]], Awaitable[tuple[int, bytes] | None]]


@dataclass(frozen=True, slots=True)
class Answer:
    """The JSON that came back, and how long the whole exchange took."""

    content: Any
    latency_ms: float


async def get_json(
    address: Address, path: str, *, deadline_s: float, headers: Mapping[str, str] = MappingProxyType({})
) -> Answer:
    """The JSON at `address` + `path`; `headers` go with the request.

    Raises:
        ProbeFailed: refused, too slow, or something else than JSON with status 200.
        ConfigError: the environment has a proxy for it that can't be used.
    """
    exchange: _Exchange = _plain
    if address.scheme != "http" or proxy_for(address) is not None:
        exchange = await _client_exchange()
    if address.authorization is not None:
        headers = {**headers, "Authorization": address.authorization}
    began = time.monotonic()
    try:
        async with asyncio.timeout(deadline_s):
            answered = await exchange(address, path, headers)
        if answered is None:
            # The import is no fault of the server's: its time does not count.
            left_s = deadline_s - (time.monotonic() - began)
            exchange = await _client_exchange()
            async with asyncio.timeout(left_s):
                answered = await exchange(address, path, headers)
    except TimeoutError:
        raise ProbeFailed(f"no answer within {deadline_s:g} s") from None
    except socket.gaierror:
        raise ProbeFailed(f"no such host: {address.host}") from None
    except TooLong:
        raise ProbeFailed(_TOO_MUCH) from None
    except Undecodable as error:
        raise ProbeFailed(str(error)) from None
    except OSError as error:
        raise ProbeFailed(_words(error)) from None
    except ValueError:
        # What no header can carry; and a host that the resolver can't write down.
        raise ProbeFailed(f"{address.url} can't be asked as it is written") from None
    assert answered is not None
    status, body = answered
    if status != 200:
        raise ProbeFailed(f"it answers with status {status} to {path}", status)
    try:
        content = parse_json(body)
    except NoJson:
        raise ProbeFailed(f"it answers with something else than JSON to {path}") from None
    return Answer(content, (time.monotonic() - began) * 1000)


async def _plain(address: Address, path: str, headers: Mapping[str, str]) -> tuple[int, bytes] | None:
    """The status and the body; None for an answer that only a whole client understands."""
    reader, writer = await asyncio.open_connection(address.host, address.port)
    try:
        fields = {"Host": address.authority, "Accept": "application/json", **headers}
        lines = [f"GET {address.path}{path} HTTP/1.0", *(f"{name}: {value}" for name, value in fields.items())]
        writer.write("\r\n".join([*lines, "", ""]).encode("latin-1"))
        head, began = await _head(reader)
        found = re.match(_STATUS, head)
        if found is None or not re.fullmatch(_FIELDS, head[found.end() :]):
            return None
        status = int(found[1])
        told = re.findall(r"\n([^:]+):[ \t]*([^\r]*)", head.lower())
        names = [name for name, _ in told]
        if status < 200 or status in _REDIRECTS or {"transfer-encoding", "content-encoding"} & set(names):
            return None
        lengths = {value.strip() for name, value in told if name == "content-length"}
        body = await _body(reader, began, lengths)
        return None if body is None else (status, body)
    except asyncio.IncompleteReadError:
        raise ProbeFailed("it closed the connection in the middle of its answer") from None
    finally:
        writer.close()


async def _head(reader: asyncio.StreamReader) -> tuple[str, bytes]:
    """The head with the end of its last line, and what came with it of the body."""
    data = b""
    while (end := re.search(rb"\n\r?\n", data)) is None:
        # What is longer and has come in one piece may still have its end in it.
        if len(data) > _MAX_HEAD_BYTES:
            raise ProbeFailed("it does not speak HTTP")
        piece = await reader.read(_PIECE_BYTES)
        if not piece:
            raise ProbeFailed("it closed the connection without an HTTP answer")
        data += piece
    return data[: end.start() + 1].decode("latin-1"), data[end.end() :]


async def _body(reader: asyncio.StreamReader, began: bytes, lengths: set[str]) -> bytes | None:
    if not lengths:
        return await _to_the_end(reader, began)
    length = lengths.pop()
    if lengths or not re.fullmatch(r"[0-9]{1,18}", length):
        return None
    if int(length) > MAX_ANSWER_BYTES:
        raise TooLong
    missing = int(length) - len(began)
    return began + await reader.readexactly(missing) if missing > 0 else began[: int(length)]


async def _to_the_end(reader: asyncio.StreamReader, began: bytes) -> bytes:
    # As Go's servers send what is longer than 2 KB to a client of HTTP/1.0: without a length, and in pieces.
    body = bytearray(began)
    while piece := await reader.read(_PIECE_BYTES):
        body += piece
        if len(body) > MAX_ANSWER_BYTES:
            raise TooLong
    return bytes(body)


async def _client_exchange() -> _Exchange:
    # On a thread, so that the kernel's loop goes on meanwhile: 0.1 s, for those who need it alone.
    import importlib

    module = await asyncio.to_thread(importlib.import_module, "llmspell_providers.http.client_get")
    exchange: _Exchange = module.client_get
    return exchange


def _words(error: OSError) -> str:
    if isinstance(error, ConnectionRefusedError) or error.errno == errno.ECONNREFUSED:
        return "connection refused"
    # asyncio joins the failures of several addresses (::1 and 127.0.0.1) into one text.
    return "connection refused" if "refused" in str(error).lower() else str(error.strerror or error)
