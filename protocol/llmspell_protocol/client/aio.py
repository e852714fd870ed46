"""The asyncio client: the same core, sockets and handshake as the synchronous one, driven by an event loop.

The loop watches the sockets' descriptors; no task runs in between. A client belongs to the loop on which it was made.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any

import zmq

from llmspell_protocol.client.core import ClientCore, Exchange
from llmspell_protocol.client.events import Event, InputRequest, Reply
from llmspell_protocol.client.handshake import Handshake
from llmspell_protocol.client.links import Links
from llmspell_protocol.connection import Channel, ConnectionInfo
from llmspell_protocol.errors import KernelUnreachable, Timeout, Unauthorized

OnInput = Callable[[str, bool], Awaitable[str | None]]
"""Answers a question of the kernel: (prompt, whether it is a password) → a line, or None for the end of input."""


class AsyncClient:
    """A connection to one kernel; parameters as of `Client`. Make it inside a running loop."""

    def __init__(
        self,
        info: ConnectionInfo,
        *,
        context: zmq.Context[zmq.Socket[bytes]] | None = None,
        encoding: str | None = None,
        key_id: str = "conn",
    ) -> None:
        self.info = info
        self.kernel_info: dict[str, Any] = {}
        """The content of the kernel's kernel_info_reply, once connected."""
        self._loop = asyncio.get_running_loop()
        self._context = context if context is not None else zmq.Context[zmq.Socket[bytes]]()
        self._owns_context = context is None
        self._news = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self.core = ClientCore(info.key.encode(), encoding=encoding or ("json" if info.foreign else "msgpack"))
        self._links = Links(
            info,
            self.core,
            self._context,
            key_id,
            watch=lambda fd: self._loop.add_reader(fd, self._drain),
            unwatch=self._loop.remove_reader,
        )

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    @property
    def lost(self) -> KernelUnreachable | None:
        """Why the connection is over; None while it stands."""
        return self._links.lost

    async def connect(self, timeout_s: float = 2.0) -> AsyncClient:
        """Makes sure that a kernel is there that accepts the key; returns this client, closed if that failed.

        Raises:
            KernelUnreachable: refused (at once), or no reply within the time.
            Unauthorized: the kernel does not accept the key, or there is none to try.
            Unsupported: the kernel speaks a newer major version of the protocol.
        """
        try:
            if not self.info.key and self.info.transport != "inproc":
                raise Unauthorized(f"connecting to {self.info.address} needs its key")
            handshake = Handshake(self.info, self.core, self._links, timeout_s=timeout_s, now=time.monotonic())
            while not handshake.step(time.monotonic()):
                await self._something(handshake.wake_at)
        except BaseException:
            self.close()
            raise
        self.kernel_info = handshake.kernel_info
        return self

    def request(
        self,
        msg_type: str,
        content: Mapping[str, Any],
        *,
        metadata: Mapping[str, Any] | None = None,
        channel: Channel = "shell",
        timeout_s: float | None = None,
        buffers: Sequence[bytes] = (),
        output: bool = False,
        on_input: OnInput | None = None,
    ) -> AsyncPending:
        """Sends a request and returns at once; parameters and errors as of `Client.request`."""
        if self._links.lost is not None:
            raise self._links.lost
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        exchange, frames = self.core.request(
            msg_type, content, metadata=metadata, channel=channel, deadline=deadline, buffers=buffers, output=output
        )
        pending = AsyncPending(self, exchange, on_input)
        self._links.send(channel, frames, after_stdin=on_input is not None)
        if deadline is not None:
            self._set_timer()
        return pending

    async def subscribe(self, timeout_s: float = 2.0) -> None:
        """Connects IOPub and waits until the kernel has confirmed it, so that nothing published later is missed.

        Raises:
            Timeout: no confirmation, as from kernels that lack `iopub_welcome` (JEP 65).
        """
        deadline = time.monotonic() + timeout_s
        self._links.open("iopub")
        while not self.core.welcomed:
            if self._links.lost is not None:
                raise self._links.lost
            if time.monotonic() >= deadline:
                raise Timeout(f"the kernel at {self.info.address} did not confirm the subscription to its output")
            await self._something(deadline)

    def close(self) -> None:
        """Ends the connection; the kernel cancels what is unfinished. What was sent last still gets out."""
        if self._timer is not None:
            self._timer.cancel()
        self._links.close()
        if self._owns_context:
            self._context.term()

    def _drain(self) -> None:
        self._links.drain()
        self._news.set()

    def _expire(self) -> None:
        for late in self.core.expire(time.monotonic()):
            self._send_cancel(late)
        self._set_timer()

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        deadline = self.core.next_deadline()
        if deadline is not None:
            self._timer = self._loop.call_later(max(0.0, deadline - time.monotonic()), self._expire)

    async def _something(self, until: float) -> None:
        """Sleeps until something comes or the time is reached."""
        self._news.clear()
        try:
            async with asyncio.timeout(max(0.0, until - time.monotonic())):
                await self._news.wait()
        except TimeoutError:
            return

    def _send_cancel(self, exchange: Exchange) -> None:
        if self._links.lost is None:
            self._links.send("control", self.core.cancel(exchange, self.kernel_info))

    async def _answer(self, question: InputRequest, on_input: OnInput | None) -> None:
        line = await on_input(question.prompt, question.password) if on_input is not None else None
        if self._links.lost is None:
            self._links.send("stdin", self.core.answer(question, line))


class AsyncPending:
    """A request under way: iterate for its events, `result()` for its end.

    Iterating ends with the request, whether it went well or not; only `result` tells. One task at a time may wait.
    """

    def __init__(self, client: AsyncClient, exchange: Exchange, on_input: OnInput | None) -> None:
        self._client = client
        self._exchange = exchange
        self._on_input = on_input
        self._changed = asyncio.Event()
        exchange.on_change = self._changed.set

    @property
    def msg_id(self) -> str:
        """The request's id."""
        return self._exchange.msg_id

    @property
    def done(self) -> bool:
        """Whether the end has come."""
        return self._exchange.done

    def __aiter__(self) -> AsyncIterator[Event]:
        return self

    async def __anext__(self) -> Event:
        event = await self._next()
        if event is None:
            raise StopAsyncIteration
        return event

    async def result(self) -> Reply:
        """Waits for the end and returns the reply; events not taken yet are dropped.

        Raises:
            Timeout: the request's own time was over.
            LlmspellError: what the kernel answered, or `KernelUnreachable` when the connection broke.
        """
        while await self._next() is not None:
            pass
        return self._exchange.outcome()

    def cancel(self) -> None:
        """Asks the kernel to cancel the request, which then ends with `Cancelled`; does not wait for that."""
        if not self._exchange.done:
            self._client._send_cancel(self._exchange)

    async def _next(self) -> Event | None:
        exchange = self._exchange
        while True:
            while exchange.events:
                event = exchange.events.popleft()
                if not isinstance(event, InputRequest):
                    return event
                await self._client._answer(event, self._on_input)
            if exchange.done:
                return None
            self._changed.clear()
            await self._changed.wait()
