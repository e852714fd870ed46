"""Requests that are part of another: work of one request that is done as a request of its own, and ends with it.

Such a part has come through no door and from no worker, and nothing dispatches it. Where the request is recorded, a
part that is worth it has a record of its own (`recorded`); where the request is replayed, the part is answered from
its record or run again (`followed`). Knows no handlers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from typing import TypeVar

from llmspell_kernel.identity import Caller
from llmspell_kernel.request import Content, Reply, Request, Sink
from llmspell_protocol.errors import Cancelled, Internal, LlmspellError
from llmspell_protocol.request_options import RequestOptions

T = TypeVar("T")

_numbers = count(1)


@contextmanager
def part_of(
    request: Request,
    content: Content,
    *,
    msg_type: str,
    sink: Sink,
    caller: Caller | None = None,
    options: RequestOptions | None = None,
    apart: bool = False,
) -> Iterator[Request]:
    """A part of `request`; what it asks for in turn ends with the block. `apart` as in `Request`.

    `caller` and `options` are the request's own unless they are given.
    """
    part = Request(
        id=f"{request.id}.part.{next(_numbers)}",
        msg_type=msg_type,
        content=content,
        caller=request.caller if caller is None else caller,
        sink=sink,
        options=request.options if options is None else options,
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


def is_followed(request: Request) -> bool:
    """Whether what is done for a request is recorded, or answered from a record; else no part has to be made for it."""
    return request.record is not None or request.answers is not None


@contextmanager
def recorded(part: Request, step: str | None = None) -> Iterator[Callable[[Content], None]]:
    """Keeps a part below its whole's record, if that has one; the block tells the answer that it has given.

    What the block raises is the answer else. `step` is the workflow's step that the part is.
    """
    if part.record is None:
        yield _untold
        return
    record = part.record = part.record.below(part, step)
    try:
        yield lambda content: record.answered({"status": "ok", **content}, ())
    except LlmspellError as error:
        record.answered(error.to_content(), ())
        raise
    except (asyncio.CancelledError, GeneratorExit):
        record.answered(Cancelled("cancelled: it ended with its request").to_content(), ())
        raise
    except BaseException as defect:
        record.answered(Internal(f"a defect: {type(defect).__name__}").to_content(), ())
        raise


async def followed(
    part: Request,
    work: Callable[[Content], Awaitable[T]],
    *,
    shown: Callable[[T], Content],
    made: Callable[[Content], T] | None = None,
    step: str | None = None,
) -> T:
    """What `work` gives for the part's content, recorded as `shown` has it where the whole is recorded.

    Where the whole is replayed, `made` makes it of the recorded answer; without `made` the work is done in any case,
    and what it asks for in turn is answered. `step` as in `recorded`. Raises what the work, or the record, has raised.
    """
    if part.answers is None and part.record is None:
        return await work(part.content)
    with recorded(part, step) as tell:
        if part.answers is None:
            result = await work(part.content)
        else:
            result = await _answered(part, work, made)
        tell(shown(result))
        return result


async def _answered(part: Request, work: Callable[[Content], Awaitable[T]], made: Callable[[Content], T] | None) -> T:
    assert part.answers is not None
    done: list[T] = []

    async def handler(request: Request) -> Reply:
        done.append(await work(request.content))
        return Reply({})

    if made is None:
        await part.answers.run(part, handler)
        return done[0]
    reply = await part.answers.answer(part, handler)
    return done[0] if done else made(reply.content)


def _untold(_content: Content) -> None:
    """Nothing is recorded."""


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


class PartSink:
    """What a part tells goes to the whole; its answer is the caller's to read."""

    def __init__(self, whole: Request) -> None:
        self._whole = whole

    def progress(self, content: Content) -> None:
        """Tells how far the part is."""
        self._whole.progress(content)

    def delta(self, content: Content) -> None:
        """Is not sent: the part's answer is no piece of the whole one."""

    def reply(self, content: Content, buffers: Sequence[bytes] = ()) -> None:
        """Is not sent: parts return what they have."""

    def publish(
        self, msg_type: str, content: Content, metadata: Content | None = None, buffers: Sequence[bytes] = ()
    ) -> None:
        """Publishes as the whole does."""
        self._whole.sink.publish(msg_type, content, metadata, buffers)

    async def ask(self, prompt: str, *, password: bool = False) -> str | None:
        """Asks as the whole does."""
        return await self._whole.sink.ask(prompt, password=password)


class StepSink(PartSink):
    """What a step would tell by itself is not sent: the workflow tells of its steps."""

    def progress(self, content: Content) -> None:
        """Is not sent."""
