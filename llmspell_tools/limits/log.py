"""What tools print: to the worker's log, up to a bound, and nowhere beyond it. Knows descriptors, not tools."""

from __future__ import annotations

import os
import sys
import threading

_STDOUT, _STDERR = 1, 2
_PIECE_BYTES = 65_536
_SAID = b"\n(what the tools of this process print from here on is left out: it was %d bytes)\n"


class BoundedLog:
    """Stands between this process's two output descriptors and the log that they led to, from its making on.

    A thread reads what is printed, by Python or past it, and writes the first `limit_bytes` of it; the rest is read
    too, so that no tool waits for it.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._left = limit_bytes
        self._limit = limit_bytes
        self._log = os.dup(_STDERR)
        self._read, write = os.pipe()
        os.dup2(write, _STDOUT)
        os.dup2(write, _STDERR)
        os.close(write)
        self._thread = threading.Thread(target=self._copy, name="log", daemon=True)
        self._thread.start()

    @property
    def is_full(self) -> bool:
        """Whether something was left out."""
        return self._left < 0

    def close(self) -> None:
        """Writes what was printed so far; what is printed afterwards goes to the log past the bound."""
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os.dup2(self._log, _STDOUT)
        os.dup2(self._log, _STDERR)
        # A process that a tool left behind may have the pipe, and would be waited for without end.
        self._thread.join(1.0)

    def _copy(self) -> None:
        while piece := os.read(self._read, _PIECE_BYTES):
            if self._left < 0:
                continue
            kept = piece[: self._left]
            self._left -= len(piece)
            if self._left < 0:
                kept += _SAID % self._limit
            try:
                os.write(self._log, kept)
            except OSError:
                continue  # A full disk ends no worker.
