"""Commands whose standard streams are not what one hopes for: full, without a reader, closed, never waiting."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import IO

from tests.support.command_line import COMMAND, Done, finished

FULL = "/dev/full"


@contextmanager
def full() -> Iterator[IO[bytes]]:
    """Where every write fails for want of room (ENOSPC)."""
    with open(FULL, "wb", buffering=0) as stream:
        yield stream


@contextmanager
def unread() -> Iterator[IO[bytes]]:
    """A pipe whose reader is gone (EPIPE)."""
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb", buffering=0) as stream:
        yield stream


@contextmanager
def read_only() -> Iterator[IO[bytes]]:
    """A descriptor that can't be written to (EBADF)."""
    with open(os.devnull, "rb", buffering=0) as stream:
        yield stream


@contextmanager
def stuffed() -> Iterator[IO[bytes]]:
    """A pipe that is full, has a reader that reads nothing, and makes no writer wait (EAGAIN)."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with os.fdopen(reader, "rb"), os.fdopen(writer, "wb", buffering=0) as stream:
        while stream.write(b"x" * 65536) is not None:
            pass
        yield stream


def run(
    words: Sequence[str],
    *,
    stdin: str = "",
    out: IO[bytes] | int = subprocess.PIPE,
    err: IO[bytes] | int = subprocess.PIPE,
    env: Mapping[str, str] | None = None,
    command: Sequence[str] = COMMAND,
    before: str = "",
) -> Done:
    """Runs one command to its end with these streams; what went elsewhere is empty. `before` is code that it runs."""
    if command is COMMAND:
        told = [None if stream == subprocess.PIPE else _descriptor(stream) for stream in (out, err)]
        environment = {**os.environ, **(env or {})}
        status, said, remarks = finished(
            words, os.fsencode(stdin), stdout=told[0], stderr=told[1], environment=environment, before=before
        )
        return Done(status, said.decode(), remarks.decode())
    done = subprocess.run(
        [*command, *words],
        input=os.fsencode(stdin),
        stdout=out,
        stderr=err,
        timeout=60,
        env={**os.environ, **(env or {})},
        check=False,
    )
    return Done(done.returncode, (done.stdout or b"").decode(), (done.stderr or b"").decode())


def _descriptor(stream: IO[bytes] | int) -> int:
    return stream if isinstance(stream, int) else stream.fileno()


def shape(text: str) -> str:
    """A text without its numbers and keys, in whatever order: what two runs of one command have in common."""
    try:
        text = json.dumps(json.loads(text), sort_keys=True)
    except ValueError:
        pass
    text = re.sub(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", "0", text)
    return re.sub(r" +", " ", re.sub(r"[0-9a-f]{32,}|\d+(?:\.\d+)?", "0", text))
