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
from collections.abc import Mapping
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
_REDIRECTS = (301, 302, 303, 307, 308)


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


class _NeedsClient(Exception):
    """The answer is one that only a whole client understands."""


async def get_json(
    address: Address, path: str, *, deadline_s: float, headers: Mapping[str, str] = MappingProxyType({})
) -> Answer:
    """The JSON at `address` + `path`; `headers` go with the request.

    Raises:
        ProbeFailed: refused, too slow, or something else than JSON with status 200.
        ConfigError: the environment has a proxy for it that can't be used.
    """
    exchange = _plain
    if address.scheme != "http" or proxy_for(address) is not None:
        exchange = await _client_exchange()
    if address.authorization is not None:
        headers = {**headers, "Authorization": address.authorization}
    began = time.monotonic()
    try:
        async with asyncio.timeout(deadline_s):
            try:
                status, body = await exchange(address, path, headers)
            except _NeedsClient:
                status, body = await (await _client_exchange())(address, path, headers)
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
    if status != 200:
        raise ProbeFailed(f"it answers with status {status} to {path}", status)
    try:
        content = parse_json(body)
    except NoJson:
        raise ProbeFailed(f"it answers with something else than JSON to {path}") from None
    return Answer(content, (time.monotonic() - began) * 1000)


async def _plain(address: Address, path: str, headers: Mapping[str, str]) -> tuple[int, bytes]:
    reader, writer = await asyncio.open_connection(address.host, address.port, limit=_MAX_HEAD_BYTES)
    try:
        fields = {"Host": address.authority, "Accept": "application/json", **headers}
        lines = [f"GET {address.path}{path} HTTP/1.0", *(f"{name}: {value}" for name, value in fields.items())]
        writer.write("\r\n".join([*lines, "", ""]).encode("latin-1"))
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        found = re.match(r"HTTP/\d\.\d ([0-9]{3})(?: |\r)", head)
        if found is None:
            raise ProbeFailed("it does not speak HTTP")
        status = int(found[1])
        told = {name.strip().lower(): value.strip() for name, _, value in _fields(head)}
        if status < 200 or status in _REDIRECTS or {"transfer-encoding", "content-encoding"} & told.keys():
            raise _NeedsClient
        return status, await _body(reader, told.get("content-length", ""))
    except asyncio.LimitOverrunError:
        raise ProbeFailed("it does not speak HTTP") from None
    except asyncio.IncompleteReadError as error:
        if b"\n\n" in error.partial:
            raise _NeedsClient from None
        raise ProbeFailed("it closed the connection without an HTTP answer") from None
    finally:
        writer.close()


def _fields(head: str) -> list[tuple[str, str, str]]:
    return [line.partition(":") for line in head.split("\r\n")[1:] if line]


async def _body(reader: asyncio.StreamReader, length: str) -> bytes:
    if not re.fullmatch(r"[0-9]{1,18}", length):
        return await _to_the_end(reader)
    if int(length) > MAX_ANSWER_BYTES:
        raise TooLong
    return await reader.readexactly(int(length))


async def _to_the_end(reader: asyncio.StreamReader) -> bytes:
    # As Go's servers send what is longer than 2 KB to a client of HTTP/1.0: without a length, and in pieces.
    body = bytearray()
    while piece := await reader.read(_PIECE_BYTES):
        body += piece
        if len(body) > MAX_ANSWER_BYTES:
            raise TooLong
    return bytes(body)


async def _client_exchange() -> Any:
    # On a thread, so that the kernel's loop goes on meanwhile: 0.1 s, for those who need it alone.
    import importlib

    module = await asyncio.to_thread(importlib.import_module, "llmspell_providers.http.client_get")
    return module.client_get


def _words(error: OSError) -> str:
    if isinstance(error, ConnectionRefusedError) or error.errno == errno.ECONNREFUSED:
        return "connection refused"
    # asyncio joins the failures of several addresses (::1 and 127.0.0.1) into one text.
    return "connection refused" if "refused" in str(error).lower() else str(error.strerror or error)
