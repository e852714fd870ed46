"""Requests that are part of another: work of one request that is done as a request of its own, and ends with it.

Such a part has come through no door and from no worker, and nothing dispatches it. Knows no handlers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count

from llmspell_kernel.identity import Caller
from llmspell_kernel.request import Content, Request, Sink
from llmspell_protocol.request_options import NO_OPTIONS, RequestOptions

_numbers = count(1)


@contextmanager
def part_of(
    request: Request,
    content: Content,
    *,
    msg_type: str,
    caller: Caller,
    sink: Sink,
    options: RequestOptions = NO_OPTIONS,
    apart: bool = False,
) -> Iterator[Request]:
    """A part of `request`; what it asks for in turn ends with the block. `apart` as in `Request`."""
    part = Request(
        id=f"{request.id}.part.{next(_numbers)}",
        msg_type=msg_type,
        content=content,
        caller=caller,
        sink=sink,
        options=options,
        parent=request,
        header=request.header,
        apart=apart,
        record=request.record,
        answers=request.answers,
    )
    request.children.add(part)
    try:
        yield part
    finally:
        request.children.discard(part)
        for child in tuple(part.children):
            child.cancel("its parent ended")


class SilentSink:
    """A sink without a reader, for a part whose value is all that comes of it. There is no person behind it."""

    def progress(self, content: Content) -> None:
        """Is not sent."""

    def delta(self, content: Content) -> None:
        """Is not sent."""

    def reply(self, content: Content, buffers: Sequence[bytes] = ()) -> None:
        """Is not sent."""

    def publish(
        self, msg_type: str, content: Content, metadata: Content | None = None, buffers: Sequence[bytes] = ()
    ) -> None:
        """Is not published."""

    async def ask(self, prompt: str, *, password: bool = False) -> str | None:
        """There is no person."""
        return None
