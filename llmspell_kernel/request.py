"""What a handler gets: who asks, what was asked, and where progress, deltas and the reply go.

A request comes from a socket, a script worker's pipe or another request; a handler can't tell and needn't. Knows no
sockets: a `Sink` does the sending.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from llmspell_kernel.identity import Caller
from llmspell_kernel.partial import Partial
from llmspell_protocol.errors import LlmspellError
from llmspell_protocol.request_options import NO_OPTIONS, RequestOptions

log = logging.getLogger(__name__)

Content = dict[str, Any]

handled_request: ContextVar[str | None] = ContextVar("handled_request", default=None)
"""The id of the request that the running code works for: what the log shows."""


@contextmanager
def handling(request: Request) -> Iterator[None]:
    """What the block logs is for this request."""
    before = handled_request.set(request.id)
    try:
        yield
    finally:
        handled_request.reset(before)


class Sink(Protocol):
    """Where a request's answers go; it numbers them with `seq` as they leave. None of these blocks."""

    def progress(self, content: Content) -> None:
        """Sends `<area>_progress`."""

    def delta(self, content: Content) -> None:
        """Sends `<area>_delta`."""

    def reply(self, content: Content, buffers: Sequence[bytes] = ()) -> None:
        """Sends the one `<area>_reply`."""

    def publish(
        self, msg_type: str, content: Content, metadata: Content | None = None, buffers: Sequence[bytes] = ()
    ) -> None:
        """Sends a message on IOPub with this request as its parent; nothing where the request has no frontend."""

    async def ask(self, prompt: str, *, password: bool = False) -> str | None:
        """Asks the client that started it for a line of input; None: the end of input, or no client to ask."""


class Outlet(Protocol):
    """Where what a request shows beside its printed text goes, in order with that text. Belongs to the loop."""

    def show(self, kind: str, content: Content, buffers: Sequence[bytes] = ()) -> None:
        """Shows `display_data`, `update_display_data`, `clear_output`, or a `progress` of the script's."""

    def work(self, key: str, what: Content, content: Content) -> None:
        """How far a request is that was made for this one: its content, and that of its progress."""

    def work_ended(self, key: str, content: Content) -> None:
        """Such a request has this reply."""

    def flush(self) -> None:
        """Passes on what was gathered: a question comes behind what was printed before it."""


class Record(Protocol):
    """What is kept of a request."""

    def answered(self, content: Content, buffers: Sequence[bytes]) -> None:
        """It has this reply, which isn't changed any more; doesn't block. Only the first counts."""

    def below(self, part: Request, step: str | None) -> Record:
        """Begins the record of a part of the request; `step` is the step of a workflow that it is."""


class Answers(Protocol):
    """Recorded answers to what a request asks for."""

    @property
    def only_recorded(self) -> bool:
        """Whether nothing is done but what the record can answer."""

    async def answer(self, request: Request, handler: Handler) -> Reply:
        """The reply to a descendant: a recorded one, or what its handler gives."""

    async def run(self, part: Request, handler: Handler) -> Reply:
        """The handler's reply to a part that is run in any case, since what it asks for is answered."""


@dataclass(slots=True, eq=False)
class Request:
    """One request on its way through the kernel; belongs to the loop."""

    id: str
    msg_type: str
    content: Content
    caller: Caller
    sink: Sink
    raw_options: Any = field(default_factory=dict)
    """`metadata.llmspell` as it came, a map if all is well; dispatch makes `options` of it."""
    options: RequestOptions = NO_OPTIONS
    buffers: Sequence[bytes] = ()
    parent: Request | None = None
    header: Mapping[str, Any] = field(default_factory=dict)
    task: asyncio.Task[None] | None = None
    children: set[Request] = field(default_factory=set)
    partial: Partial = field(default_factory=Partial)
    """The reply's content so far, what `details.partial` of an error shows; a delta's `text` joins it by itself."""
    cancel_reason: str | None = None
    answered: bool = False
    problem: LlmspellError | None = None
    """What was wrong with it before it could be read: its answer."""
    superseded: bool = False
    """It came through a connection in whose place another has come since."""
    of_notebook: bool = False
    """It runs a notebook's cell, and says which (`metadata.cellId`)."""
    unheard: bool = False
    """Nothing of it is published on IOPub."""
    apart: bool = False
    """It ends with its parent, but has nothing of what that was granted, and no person to ask: it is its own root."""
    lasting: bool = False
    """It lasts as long as its client wants: nothing waits for its end, and it makes no kernel busy."""
    record: Record | None = None
    """What is kept of it, where it belongs to a session; it is told of the reply."""
    outlet: Outlet | None = None
    """Where scripts of this request show more than text; set by what runs them."""
    answers: Answers | None = None
    """What answers its descendants in their handlers' place, where it is replayed."""

    @property
    def root(self) -> Request:
        """The request at the top: what a person or program asked for; or the one below that which stands apart."""
        return self if self.parent is None or self.apart else self.parent.root

    @property
    def action(self) -> str:
        """The action of one of our own requests; empty for the standard ones."""
        action = self.content.get("action")
        return action if isinstance(action, str) else ""

    @property
    def shown(self) -> str:
        """Type and action as the log shows them."""
        return f"{self.msg_type[:40]} {self.action[:40]}".rstrip()

    def progress(self, content: Content) -> None:
        """Tells how far the work is."""
        self.sink.progress(content)

    def delta(self, content: Content) -> None:
        """Sends a piece of the answer."""
        text = content.get("text")
        if isinstance(text, str):
            key = str(content.get("stream", "text"))
            self.partial.add(key, text)
        self.sink.delta(content)

    @property
    def has_person(self) -> bool:
        """Whether a person may sit at the client that made the request at the root."""
        root = self.root
        return root.options.interactive and bool(root.content.get("allow_stdin"))

    async def ask_person(self, prompt: str) -> str | None:
        """Asks the person at the client that made the request at the root; None where there is none to be asked."""
        return await self.root.ask(prompt) if self.root.options.interactive else None

    async def ask(self, prompt: str, *, password: bool = False) -> str | None:
        """Asks the client behind what was printed so far; for a request at the root. As `Sink.ask`."""
        if self.outlet is not None:
            self.outlet.flush()
        return await self.sink.ask(prompt, password=password)

    def reply(self, content: Content, buffers: Sequence[bytes] = ()) -> None:
        """Sends the reply, the first time; dispatch does this."""
        if not self.answered:
            self.sink.reply(content, buffers)
            self.answered = True
            if self.record is not None:
                self.record.answered(content, buffers)

    def fail(self, error: LlmspellError) -> None:
        """Replies with an error, the first time; it shows what the answer was so far."""
        if self.partial and "partial" not in error.details:
            error.details["partial"] = self.partial.content()
        log.debug("%s: %s", self.shown, error.code)  # The message may quote what a person wrote.
        self.reply(error.to_content())

    def cancel(self, reason: str) -> None:
        """Cancels this request, its descendants first; it ends in an error reply with code `cancelled`."""
        for child in tuple(self.children):
            child.cancel(reason)
        if self.cancel_reason is None and self.task is not None and not self.task.done():
            self.cancel_reason = reason
            self.task.cancel(reason)


class Reply(NamedTuple):
    """What a handler returns: the reply's content (`status: ok` is added) and binary buffers."""

    content: Content
    buffers: Sequence[bytes] = ()


Handler = Callable[[Request], Awaitable[Reply]]
"""Answers one kind of message; raises the protocol's errors."""

Submit = Callable[[Request], asyncio.Task[None]]
"""Starts a request: what dispatch offers to those that make requests of their own (script workers)."""
