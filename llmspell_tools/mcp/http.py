"""A server at an address as a transport: the package's streamable HTTP, with an end to what one answer may have."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import httpx2
from mcp.client._transport import TransportStreams
from mcp.client.streamable_http import streamable_http_client

from llmspell_tools.mcp.stdio import MAX_LINE_BYTES

_CONNECT_S = 15.0


class AnswerTooLarge(httpx2.TransportError):
    """The body of an answer has no end."""


@asynccontextmanager
async def http_streams(url: str, *, headers: Mapping[str, str], timeout_s: float) -> AsyncIterator[TransportStreams]:
    """Speaks to the server at `url` with these headers in each request; `timeout_s` is the longest silence of one."""
    timeout = httpx2.Timeout(timeout_s, connect=min(_CONNECT_S, timeout_s))
    # Variables of proxies are not read: this process has none of them.
    client = httpx2.AsyncClient(headers=dict(headers), timeout=timeout, transport=_Bounded())
    async with (
        client,
        streamable_http_client(url, http_client=client, max_sse_event_size=MAX_LINE_BYTES) as streams,
    ):
        yield streams


class _Bounded(httpx2.AsyncHTTPTransport):
    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        response = await super().handle_async_request(request)
        if not response.headers.get("content-type", "").startswith("text/event-stream"):
            assert isinstance(response.stream, httpx2.AsyncByteStream), "of an asynchronous transport"
            response.stream = _BoundedStream(response.stream)
        return response


class _BoundedStream(httpx2.AsyncByteStream):
    def __init__(self, inner: httpx2.AsyncByteStream) -> None:
        self._inner = inner

    async def __aiter__(self) -> AsyncIterator[bytes]:
        left = MAX_LINE_BYTES
        async for piece in self._inner:
            left -= len(piece)
            if left < 0:
                raise AnswerTooLarge(f"it said more than {MAX_LINE_BYTES / 1e6:,.0f} MB in one answer")
            yield piece

    async def aclose(self) -> None:
        await self._inner.aclose()
