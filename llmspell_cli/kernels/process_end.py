"""Waits for the end of processes that are not our children. Knows pids, not kernels."""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Sequence
from contextlib import ExitStack

from llmspell_protocol.client.interrupts import Sleep


class ProcessEnd:
    """Tells when a process has ended; open it before asking the process to end."""

    def __init__(self, pid: int) -> None:
        self._gone = False
        self._fd = -1
        try:
            self._fd = _watch(pid)
        except ProcessLookupError:
            self._gone = True

    def __enter__(self) -> ProcessEnd:
        return self

    def __exit__(self, *_: object) -> None:
        if self._fd >= 0:
            os.close(self._fd)

    @property
    def gone(self) -> bool:
        """Whether the process has ended by now."""
        return self.wait(0)

    def fileno(self) -> int:
        """A descriptor that becomes readable when the process ends; only while it lives."""
        return self._fd

    def wait(self, timeout_s: float) -> bool:
        """Whether the process has ended, after waiting for it this long at most."""
        if not self._gone:
            self._gone = bool(select.select([self._fd], [], [], max(0.0, timeout_s))[0])
        return self._gone


def sleep_until_one_ends(pids: Sequence[int], timeout_s: float, gone: set[int]) -> None:
    """Returns when one of the processes ends, when a signal comes, or after this time.

    `gone` are those of which an earlier call has told that they are not there: they are not told of again.
    """
    with ExitStack() as stack:
        ends = {pid: stack.enter_context(ProcessEnd(pid)) for pid in pids}
        ended = {pid for pid, end in ends.items() if end.gone}
        if not ended <= gone:
            gone |= ended
            return
        sleep = Sleep()
        stack.callback(sleep.close)
        for pid in ends.keys() - ended:
            sleep.watch(ends[pid].fileno())
        sleep(max(0, round(1000 * timeout_s)))


def _watch(pid: int) -> int:
    """A descriptor that becomes readable when the process ends."""
    if sys.platform == "linux":
        return os.pidfd_open(pid)
    queue = select.kqueue()
    event = select.kevent(pid, filter=select.KQ_FILTER_PROC, flags=select.KQ_EV_ADD, fflags=select.KQ_NOTE_EXIT)
    queue.control([event], 0)
    return os.dup(queue.fileno())
