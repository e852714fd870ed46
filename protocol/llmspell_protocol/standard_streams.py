"""The standard streams of a process, whatever its caller made of them: closed, full, without a reader, never waiting.

What goes to standard error are remarks: one that can't be written is missed, and the process goes on. What goes to
standard output is what was asked for: where it can't be written, an OSError says so.
"""

from __future__ import annotations

import io
import os
import select
import sys
from typing import Any

_PATIENCE_S = 1.0
"""How long a remark waits for a reader of a stream that does not make its writers wait."""


class _Stream(io.FileIO):
    """A descriptor whose non-blocking mode, which another process may have set for all that share it, is not felt."""

    def write(self, data: Any, /) -> int:
        """Writes all of it, however long that takes.

        Raises:
            OSError: it can't be written.
        """
        rest = memoryview(data).cast("B")
        whole = len(rest)
        while rest:
            written = super().write(rest)
            if written:
                rest = rest[written:]
            elif not self._wait_to_write():
                break
        return whole

    def readinto(self, buffer: Any, /) -> int:
        """Reads some of it, 0 at its end."""
        while (count := super().readinto(buffer)) is None:
            select.select([self], [], [])
        return count

    def readall(self) -> bytes:
        """Reads to the end."""
        read, piece = bytearray(), bytearray(io.DEFAULT_BUFFER_SIZE)
        while count := self.readinto(piece):
            read += piece[:count]
        return bytes(read)

    def _wait_to_write(self) -> bool:
        """Until a write would not wait; False where that is given up."""
        return bool(select.select([], [self], [])[1])


class _Remarks(_Stream):
    """Standard error: whatever the system says to a write, the writer does not hear of it."""

    _patient = True

    def write(self, data: Any, /) -> int:
        """Writes what can be written; says that it was all of it."""
        try:
            return super().write(data)
        except OSError:
            return len(data)

    def _wait_to_write(self) -> bool:
        # One without a reader costs its patience once.
        self._patient = bool(select.select([], [self], [], _PATIENCE_S if self._patient else 0)[1])
        return self._patient


def have_standard_streams() -> None:
    """Makes the three streams usable, for the life of the process.

    A closed descriptor would be given to the next socket that is opened. What an encoding lacks is replaced in output,
    and input that is no text in its encoding has U+FFFD in its place.
    """
    while (fd := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(fd)
    if sys.stdin is None or not os.get_blocking(0):
        sys.stdin = _text(_Stream(0, closefd=False), sys.stdin)
    if sys.stdout is None or not os.get_blocking(1):
        sys.stdout = _text(_Stream(1, "w", closefd=False), sys.stdout)
    for stream in (sys.stdin, sys.stdout):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    have_lenient_stderr()


def have_lenient_stderr() -> None:
    """Makes `sys.stderr` a stream that never fails, in the encoding that it had."""
    sys.stderr = _text(_Remarks(2, "w", closefd=False), sys.stderr)


def _text(raw: _Stream, before: io.TextIOBase | Any) -> io.TextIOWrapper:
    buffer: Any = io.BufferedReader(raw) if raw.readable() else io.BufferedWriter(raw)
    encoding = getattr(before, "encoding", None)
    return io.TextIOWrapper(buffer, encoding, errors="replace", line_buffering=raw.isatty() or raw.fileno() == 2)
