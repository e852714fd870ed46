"""A server of this machine as a transport: a program that is spoken to in lines on its standard streams.

In place of the package's own transport, since a server is not trusted with our memory: a line has an end, and what is
no message is skipped, up to a limit. Knows messages, not what they mean.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.shared.message import SessionMessage
from mcp_types import INTERNAL_ERROR, ErrorData, JSONRPCError, JSONRPCMessage, jsonrpc_message_adapter
from pydantic import ValidationError

from llmspell_protocol.exit_status import ending
from llmspell_protocol.plain_values import carried
from llmspell_protocol.worker_memory import lift

MAX_LINE_BYTES = 24_000_000
"""One message; a picture in it is base64."""
_PIECE_BYTES = 1 << 16
_MAX_STRAY_LINES = 1000
"""Lines in a row that are no messages, before a program counts as none that speaks MCP."""
_SHOWN_STRAY_LINES = 20
_ENDS_WITHIN_S = 1.5
"""How long a server may take to end once its input is closed, before it gets SIGTERM and then SIGKILL."""

Streams = tuple[MemoryObjectReceiveStream[SessionMessage | Exception], MemoryObjectSendStream[SessionMessage]]


@asynccontextmanager
async def stdio_streams(
    command: Sequence[str], *, environment: Mapping[str, str], directory: str | None, on_end: Callable[[str], None]
) -> AsyncIterator[Streams]:
    """Starts a program with exactly this environment, and gives what it says and what it is told.

    Its standard error is this process's. `on_end` gets the reason, once, when it ends by itself or says too much.

    Raises:
        OSError, ValueError: it can't be started.
    """
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env=environment,
        cwd=directory,
        limit=_PIECE_BYTES,
        start_new_session=True,
        preexec_fn=_in_the_child(),
    )
    inbox, said = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    told, outbox = anyio.create_memory_object_stream[SessionMessage](0)
    at_end = asyncio.Event()
    reading = asyncio.create_task(_read(process, inbox, on_end, at_end))
    writing = asyncio.create_task(_write(process, outbox))
    try:
        yield said, told
    finally:
        if at_end.is_set():
            await asyncio.wait([reading])  # it is about to say why
        reading.cancel()
        said.close()
        told.close()
        await asyncio.shield(_stop(process))
        writing.cancel()
        await asyncio.gather(reading, writing, return_exceptions=True)
        inbox.close()
        outbox.close()


async def _read(
    process: asyncio.subprocess.Process,
    inbox: MemoryObjectSendStream[SessionMessage | Exception],
    on_end: Callable[[str], None],
    at_end: asyncio.Event,
) -> None:
    stray = 0
    try:
        async for line in _lines(process):
            message = _message(line)
            if message is not None:
                stray = 0
                await inbox.send(SessionMessage(message))
                continue
            stray += 1
            if stray > _MAX_STRAY_LINES:
                on_end("it does not speak MCP: what it says on standard output are no messages")
                return
            if stray <= _SHOWN_STRAY_LINES:
                print(f"on standard output, and no message: {line[:200]!r}", file=sys.stderr)  # noqa: T201 — the log
    except _TooLong:
        on_end(f"it said more than {MAX_LINE_BYTES / 1e6:,.0f} MB in one line")
    except (anyio.BrokenResourceError, anyio.ClosedResourceError):
        pass  # the session has ended
    else:
        at_end.set()
        status = None
        with suppress(TimeoutError):
            status = await asyncio.wait_for(process.wait(), _ENDS_WITHIN_S)
        on_end("it closed its standard output" if status is None else f"it ended {ending(status)}")
    finally:
        await inbox.aclose()


class _TooLong(Exception):
    """A line has no end."""


async def _lines(process: asyncio.subprocess.Process) -> AsyncIterator[bytes]:
    """What a server says, by lines; no more is read ahead than a piece, so that what matters waits behind little."""
    assert process.stdout is not None, "started with a pipe"
    unfinished: list[bytes] = []
    length = 0
    while piece := await process.stdout.read(_PIECE_BYTES):
        first, *others = piece.split(b"\n")
        unfinished.append(first)
        length += len(first)
        if length > MAX_LINE_BYTES:
            raise _TooLong
        if not others:
            continue
        *whole, rest = others
        for line in (b"".join(unfinished), *whole):
            if line.strip():
                yield line
        unfinished, length = [rest], len(rest)


def _message(line: bytes) -> JSONRPCMessage | None:
    """The message in a line; an error as the answer to a request where the answer itself can't be read."""
    with suppress(ValueError):
        return jsonrpc_message_adapter.validate_json(line, by_name=False)
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict) or "jsonrpc" not in value:
        return None
    try:
        # Half characters and numbers that not every reader takes are no reason to refuse a message.
        return jsonrpc_message_adapter.validate_python(carried(value), by_name=False)
    except (ValueError, RecursionError) as error:
        number = value.get("id")
        if "method" in value or not isinstance(number, int | str):
            return None
        why = "its answer is not what the protocol says" if isinstance(error, ValidationError) else str(error)
        problem = ErrorData(code=INTERNAL_ERROR, message=why[:200])
        return JSONRPCError(jsonrpc="2.0", id=number, error=problem)


async def _write(process: asyncio.subprocess.Process, outbox: MemoryObjectReceiveStream[SessionMessage]) -> None:
    assert process.stdin is not None, "started with a pipe"
    with suppress(ConnectionError, anyio.ClosedResourceError):  # its end is told by what reads
        async for message in outbox:
            text = message.message.model_dump_json(by_alias=True, exclude_unset=True)
            process.stdin.write(text.encode() + b"\n")
            await process.stdin.drain()


async def _stop(process: asyncio.subprocess.Process) -> None:
    """As the protocol says: its input is closed, then it gets SIGTERM, then SIGKILL."""
    assert process.stdin is not None, "started with a pipe"
    process.stdin.close()
    for sign in (signal.SIGTERM, signal.SIGKILL):
        with suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), _ENDS_WITHIN_S)
            return
        with suppress(ProcessLookupError):
            os.killpg(process.pid, sign)


def _in_the_child() -> Callable[[], None]:
    """What the server's process does before it becomes the server: it ends with this one, and has memory of its own."""
    set_death_signal = None
    if sys.platform == "linux":
        import ctypes

        set_death_signal = ctypes.CDLL(None).prctl

    def prepare() -> None:
        lift()
        if set_death_signal is not None:
            set_death_signal(1, signal.SIGKILL, 0, 0, 0)  # PR_SET_PDEATHSIG, prctl(2)

    return prepare
