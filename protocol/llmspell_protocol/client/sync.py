"""The synchronous client: what the command line uses. One thread, no event loop, nothing imported but pyzmq.

A `Client` belongs to the thread that made it. KeyboardInterrupt may come at any time and leaves it usable: cancel the
request and wait for its end with `result`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import zmq

from llmspell_protocol.client.core import ClientCore, Exchange
from llmspell_protocol.client.events import Event, InputRequest, Reply
from llmspell_protocol.client.handshake import Handshake
from llmspell_protocol.client.interrupts import HeldInterrupts, Sleep
from llmspell_protocol.client.links import Links
from llmspell_protocol.connection import Channel, ConnectionInfo
from llmspell_protocol.errors import KernelUnreachable, Timeout, Unauthorized


class HasFileno(Protocol):
    """What can be waited for: a socket, a file."""

    def fileno(self) -> int:
        """Its descriptor."""


OnInput = Callable[[str, bool], str | None]
"""Answers a question of the kernel: (prompt, whether it is a password) → a line, or None (or EOFError) for no more."""


class Client:
    """A connection to one kernel.

    `context` is shared with an embedded kernel (inproc); without one the client has its own. `encoding` is `msgpack`
    for kernels of ours and `json` for others, unless given. `key_id` names the key that signs; `conn` is the
    connection file's.
    """

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
        self._context = context if context is not None else zmq.Context[zmq.Socket[bytes]]()
        self._owns_context = context is None
        self._sleep = Sleep()
        self.core = ClientCore(info.key.encode(), encoding=encoding or ("json" if info.foreign else "msgpack"))
        self._links = Links(
            info,
            self.core,
            self._context,
            key_id,
            watch=self._sleep.watch,
            unwatch=self._sleep.unwatch,
        )

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def lost(self) -> KernelUnreachable | None:
        """Why the connection is over; None while it stands."""
        return self._links.lost

    def connect(self, timeout_s: float = 2.0) -> Client:
        """Makes sure that a kernel is there that accepts the key; returns this client, closed if that failed.

        Raises:
            KernelUnreachable: refused (at once), or no reply within the time.
            Unauthorized: the kernel does not accept the key, or there is none to try.
            Unsupported: the kernel speaks a newer major version of the protocol.
        """
        try:
            if not self.info.key and self.info.transport != "inproc":
                raise Unauthorized(f"connecting to {self.info.address} needs its key")
            with HeldInterrupts():
                handshake = Handshake(self.info, self.core, self._links, timeout_s=timeout_s, now=time.monotonic())
            while not handshake.step(time.monotonic()):
                self._wait(handshake.wake_at)
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
    ) -> Pending:
        """Sends a request and returns at once.

        `timeout_s` is all the time until the reply; when it is over the request is cancelled and fails with `Timeout`.
        `output` also brings what the kernel publishes for it on IOPub (`subscribe` first). `on_input` answers the
        kernel's questions (the caller says `allow_stdin` in the content).

        Raises:
            KernelUnreachable: the connection is over; make a new client.
            InvalidRequest: the request is too large or can't be sent.
        """
        if self._links.lost is not None:
            raise self._links.lost
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        with HeldInterrupts():
            exchange, frames = self.core.request(
                msg_type, content, metadata=metadata, channel=channel, deadline=deadline, buffers=buffers, output=output
            )
            self._links.send(channel, frames, after_stdin=on_input is not None)
        return Pending(self, exchange, on_input)

    def subscribe(self, timeout_s: float = 2.0) -> None:
        """Connects IOPub and waits until the kernel has confirmed it, so that nothing published later is missed.

        Raises:
            Timeout: no confirmation, as from kernels that lack `iopub_welcome` (JEP 65).
        """
        deadline = time.monotonic() + timeout_s
        with HeldInterrupts():
            self._links.open("iopub")
        while not self.core.welcomed:
            if self._links.lost is not None:
                raise self._links.lost
            if time.monotonic() >= deadline:
                raise Timeout(f"the kernel at {self.info.address} did not confirm the subscription to its output")
            self._wait(deadline)

    def wait_for_loss(self, timeout_s: float) -> bool:
        """Whether the connection is over, after waiting for that this long at most: the kernel has ended, say."""
        until = time.monotonic() + timeout_s
        while self._links.lost is None and time.monotonic() < until:
            self._wait(until)
        return self._links.lost is not None

    def wait_beside(self, other: HasFileno | None) -> None:
        """Sleeps until something has come, or something else can be read, and takes in what came."""
        if other is None:
            self._wait(None)
            return
        descriptor = other.fileno()
        self._sleep.watch(descriptor)
        try:
            self._wait(None)
        finally:
            self._sleep.unwatch(descriptor)

    def close(self) -> None:
        """Ends the connection; the kernel cancels what is unfinished. What was sent last still gets out."""
        with HeldInterrupts():
            self._links.close()
            self._sleep.close()
        if self._owns_context:
            self._context.term()

    def _wait(self, until: float | None) -> None:
        """Sleeps until something comes or a time is reached, and takes in what came."""
        now = time.monotonic()
        times = [moment for moment in (until, self.core.next_deadline()) if moment is not None]
        self._sleep(max(0, math.ceil((min(times) - now) * 1000)) if times else None)
        with HeldInterrupts():
            self._links.drain()
            for late in self.core.expire(time.monotonic()):
                self._send_cancel(late)

    def _send_cancel(self, exchange: Exchange) -> None:
        if self._links.lost is None:
            self._links.send("control", self.core.cancel(exchange, self.kernel_info))

    def _answer(self, question: InputRequest, on_input: OnInput | None) -> None:
        try:
            line = on_input(question.prompt, question.password) if on_input is not None else None
        except EOFError:
            line = None
        with HeldInterrupts():
            if self._links.lost is None:
                self._links.send("stdin", self.core.answer(question, line))


class Pending:
    """A request under way: iterate for its events, `result()` for its end.

    Iterating ends with the request, whether it went well or not; only `result` tells. Answers to several requests may
    be awaited in any order.
    """

    def __init__(self, client: Client, exchange: Exchange, on_input: OnInput | None) -> None:
        self._client = client
        self._exchange = exchange
        self._on_input = on_input

    @property
    def msg_id(self) -> str:
        """The request's id."""
        return self._exchange.msg_id

    @property
    def done(self) -> bool:
        """Whether the end has come, as far as has been read."""
        return self._exchange.done

    def __iter__(self) -> Iterator[Event]:
        return self

    def __next__(self) -> Event:
        event = self._next(None)
        if event is None:
            raise StopIteration
        return event

    def result(self, timeout_s: float | None = None) -> Reply:
        """Waits for the end (at most `timeout_s`, if given) and returns the reply; events not taken yet are dropped.

        Raises:
            Timeout: this wait is over (the request goes on), or the request's own time was.
            LlmspellError: what the kernel answered, or `KernelUnreachable` when the connection broke.
        """
        until = None if timeout_s is None else time.monotonic() + timeout_s
        while self._next(until) is not None:
            pass
        return self._exchange.outcome()

    def take_arrived(self) -> Event | None:
        """An event that has arrived already, or None; questions are answered on the way."""
        exchange = self._exchange
        while exchange.events:
            event = exchange.events.popleft()
            if not isinstance(event, InputRequest):
                return event
            self._client._answer(event, self._on_input)
        return None

    def cancel(self) -> None:
        """Asks the kernel to cancel the request, which then ends with `Cancelled`; does not wait for that.

        What it still asks is answered with the end of input, so that a question does not delay its end.
        """
        self._on_input = None
        if not self._exchange.done:
            with HeldInterrupts():
                self._client._send_cancel(self._exchange)

    def _next(self, until: float | None) -> Event | None:
        exchange = self._exchange
        while True:
            event = self.take_arrived()
            if event is not None:
                return event
            if exchange.done:
                return None
            if until is not None and time.monotonic() >= until:
                raise Timeout(f"{exchange.msg_type} has not ended in time")
            self._client._wait(until)
