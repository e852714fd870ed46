"""The one client for model servers: what it is made with, what it follows, and how much it takes.

Made for one address. It reads no variable of the environment but those for proxies and certificates, goes on to no
other server than the one it was made for, so that no key does, and limits the decoded bytes of every reply. Imports
httpx2, which takes 0.1 s: to be imported where a request is about to be sent, on a thread.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import httpx2

from llmspell_protocol.addresses import Address
from llmspell_protocol.errors import ConfigError
from llmspell_protocol.proxies import proxy_for
from llmspell_providers.http.bounded import Decoding, bounded
from llmspell_providers.http.limits import LIST_BYTES
from llmspell_providers.http.lines import json_events

CONNECT_DEADLINE_S = 5.0
_MAX_HOPS = 5
_DRAIN_S = 0.1
_CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR")
_limit_bytes: ContextVar[int] = ContextVar("limit_bytes", default=LIST_BYTES)


class Redirected(httpx2.ProtocolError):
    """The server sends requests on to where they may not go; the text says where that is."""


@contextmanager
def reply_limit(limit_bytes: int) -> Iterator[None]:
    """While inside, replies to requests of this task may be so long once they are decoded."""
    token = _limit_bytes.set(limit_bytes)
    try:
        yield
    finally:
        _limit_bytes.reset(token)


def open_client(address: Address) -> httpx2.AsyncClient:
    """A client for one server, without a limit of time but for connecting.

    Raises:
        ConfigError: a variable of the environment names a proxy or certificates that can't be used.
    """
    proxy = proxy_for(address)
    try:
        transport = httpx2.AsyncHTTPTransport(
            trust_env=True, proxy=None if proxy is None else httpx2.Proxy(proxy.url, auth=proxy.login)
        )
    except (ImportError, ValueError, httpx2.InvalidURL) as error:
        if proxy is None:
            raise
        raise ConfigError(
            f"{proxy.variable} names a proxy that can't be used ({error})",
            hint=f"correct {proxy.variable}, or name the server's host in NO_PROXY",
            details={"variable": proxy.variable},
        ) from None
    except OSError as error:
        variable = next((name for name in _CERTIFICATES if os.environ.get(name)), None)
        if variable is None:
            raise
        raise ConfigError(
            f"{variable} names certificates that can't be read ({error.strerror or error})",
            hint=f"correct {variable}, or take it away",
            details={"variable": variable},
        ) from None
    return httpx2.AsyncClient(
        transport=_OneServer(transport, address),
        trust_env=False,
        follow_redirects=False,
        timeout=httpx2.Timeout(None, connect=CONNECT_DEADLINE_S),
    )


def with_the_proxy(address: Address, reason: str) -> str:
    """A reason for a failure that names the proxy, where there is one: it may be the proxy's."""
    proxy = proxy_for(address)
    return reason if proxy is None else f"{reason}; asked through {proxy.url}, which {proxy.variable} names"


async def events(response: httpx2.Response) -> AsyncGenerator[Any, None]:
    """The JSON of a stream's events; raises ValueError and `httpx2.HTTPError`.

    After the last event the rest of the body is read if it is there, so that the connection can be used again.
    """
    pieces = response.aiter_raw()
    async for content in json_events(pieces):
        yield content
    try:
        async with asyncio.timeout(_DRAIN_S):
            async for _ in pieces:
                pass
    except (TimeoutError, httpx2.HTTPError, ValueError):
        pass  # What comes after the end can't spoil a reply that is whole.


class _OneServer(httpx2.AsyncBaseTransport):
    """Sends requests to one server and follows redirects inside of it."""

    def __init__(self, inner: httpx2.AsyncBaseTransport, address: Address) -> None:
        self._inner = inner
        self._address = address

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        request.headers["Accept-Encoding"] = "identity"
        if self._address.authorization is not None:
            request.headers["Authorization"] = self._address.authorization
        limit_bytes = _limit_bytes.get()
        for _ in range(_MAX_HOPS):
            response = await self._answered(request)
            try:
                target = self._target(request, response)
                if target is None:
                    return _decoded(response, limit_bytes)
            except BaseException:
                await response.aclose()
                raise
            await response.aclose()
            request = httpx2.Request(
                request.method, target, headers=request.headers, stream=request.stream, extensions=request.extensions
            )
        raise Redirected(f"it sends requests round in circles, more than {_MAX_HOPS} times")

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def _answered(self, request: httpx2.Request) -> httpx2.Response:
        """The answer; on a kept connection that the server closed just then, that of a new one.

        Nothing of an answer came, and a server that closes an idle connection has not read the request. What deletes is
        never sent twice.
        """
        is_new = False

        async def trace(event: str, _: Mapping[str, Any]) -> None:
            nonlocal is_new
            is_new = is_new or event.startswith("connection.connect")

        try:
            request.extensions = {**request.extensions, "trace": trace}
            return await self._inner.handle_async_request(request)
        except (httpx2.RemoteProtocolError, httpx2.ReadError, httpx2.WriteError):
            if is_new or request.method == "DELETE":
                raise
            return await self._inner.handle_async_request(request)

    def _target(self, request: httpx2.Request, response: httpx2.Response) -> httpx2.URL | None:
        """Where the server wants to be asked instead; None where it does not."""
        location = response.headers.get("location")
        if response.status_code not in (301, 302, 303, 307, 308) or location is None:
            return None
        try:
            target = request.url.join(location)
        except (httpx2.InvalidURL, ValueError):
            raise Redirected("it sends requests on to an address that is none") from None
        shown = re.sub(r"[\x00-\x1f\x7f-\x9f]", "", f"{target.scheme}://{target.netloc.decode()}{target.path}")[:200]
        here = (request.url.scheme, request.url.host, request.url.port)
        if (target.scheme, target.host, target.port) != here:
            raise Redirected(f"it sends requests on to {shown}; if that is meant, set base_url to it")
        if request.method not in ("GET", "HEAD") and response.status_code not in (307, 308):
            how = f"in a way that loses what they say (status {response.status_code})"
            raise Redirected(f"it sends requests on to {shown} {how}; correct base_url")
        return target


def _decoded(response: httpx2.Response, limit_bytes: int) -> httpx2.Response:
    decoding = Decoding(response.headers.get("content-encoding", ""), limit_bytes)
    headers = [
        (name, value)
        for name, value in response.headers.raw
        if name.lower() not in (b"content-encoding", b"content-length")
    ]
    assert isinstance(response.stream, httpx2.AsyncByteStream)
    stream = _BoundedStream(response.stream, decoding)
    return httpx2.Response(response.status_code, headers=headers, stream=stream, extensions=response.extensions)


class _BoundedStream(httpx2.AsyncByteStream):
    def __init__(self, inner: httpx2.AsyncByteStream, decoding: Decoding) -> None:
        self._inner = inner
        self._pieces: AsyncIterable[bytes] = bounded(inner, decoding)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self._pieces:
            yield piece

    async def aclose(self) -> None:
        await self._inner.aclose()
