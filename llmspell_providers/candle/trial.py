"""A piece of work that may never end or take all memory, tried in a fork of this process that may do neither.

A fork, because it begins at once with what this process has, and ends with everything it took. Call on the main thread
of a process that has no other: a lock that another thread holds would be held in the fork for ever.
"""

from __future__ import annotations

import os
import resource
import select
import signal
import sys
import time
from collections.abc import Callable
from typing import NoReturn

from llmspell_protocol.exit_status import ending
from llmspell_protocol.worker_memory import FEW_THREADS, TRIAL_BYTES, hold_to, private_bytes, stacks_bytes
from llmspell_providers.residency.memory import resident_bytes

COMPUTES_S = 5
"""Whole seconds of a processor. Chat templates of today's models take a hundredth of one."""
_ENDS_WITHIN_S = 60.0
"""By then something else is wrong: on a busy machine five seconds of a processor take longer than five seconds."""
_LOOK_S = 0.1
_DEATH_SIGNAL = 1
"""PR_SET_PDEATHSIG, prctl(2)."""
_ALL_DESCRIPTORS = 1 << 16
_NO_MEMORY = b"memory"
_ANOTHER_MATTER = (-signal.SIGILL, -signal.SIGTERM, -signal.SIGINT, -signal.SIGHUP)


class Trial:
    """Work that begins now, in another process; `fault` waits for its end."""

    def __init__(
        self, work: Callable[[], None], *, computes_s: int = COMPUTES_S, memory_bytes: int = TRIAL_BYTES
    ) -> None:
        """`work` raises MemoryError where it got no more memory; whatever else it raises is not this trial's matter."""
        self._computes_s = computes_s
        self._memory_bytes = memory_bytes
        self._read_fd, write_fd = os.pipe()
        parent = os.getpid()
        self._pid = os.fork()
        if not self._pid:
            _run(work, write_fd, parent, computes_s, memory_bytes)
        os.close(write_fd)

    def fault(self) -> str | None:
        """What was wrong with the work, in words; None: it came to an end in time. Call once."""
        is_large, said = self._wait()
        os.close(self._read_fd)
        _, waited = os.waitpid(self._pid, 0)
        status = os.waitstatus_to_exitcode(waited)
        if is_large or said == _NO_MEMORY:
            return f"takes more than {self._memory_bytes / 1e6:,.0f} MB of memory"
        if said == b"done":
            return None
        if status in (-signal.SIGXCPU, -signal.SIGKILL):
            return f"computes for more than {self._computes_s} s"
        if status in _ANOTHER_MATTER or sys.platform == "darwin":
            # Of an engine for another processor, or a library of Apple's that bears no fork: the load itself tells.
            return None
        return f"ends the engine ({ending(status)})"

    def _wait(self) -> tuple[bool, bytes]:
        """Until the process has said something or ended, or was ended here: whether for its size, and what it said."""
        deadline = time.monotonic() + _ENDS_WITHIN_S
        largest = (resident_bytes(os.getpid()) or 0) + self._memory_bytes
        while not select.select([self._read_fd], [], [], _LOOK_S)[0]:
            # Its own limits end it where the system holds a process to them.
            is_large = (resident_bytes(self._pid) or 0) > largest
            if is_large or time.monotonic() > deadline:
                os.kill(self._pid, signal.SIGKILL)
                return is_large, b""
        return False, os.read(self._read_fd, 64)


def _run(work: Callable[[], None], write_fd: int, parent: int, computes_s: int, memory_bytes: int) -> NoReturn:
    try:
        _confine(write_fd, parent, computes_s, memory_bytes)
        try:
            work()
            said = b"done"
        except MemoryError:
            said = _NO_MEMORY
        except Exception:  # noqa: BLE001 the boundary of a process: it is the real load that says what else is wrong
            said = b"done"
        os.write(write_fd, said)
    finally:
        # Nothing of the process that was forked is tidied up, and threads of an engine's hold nothing up.
        os._exit(0)


def _confine(write_fd: int, parent: int, computes_s: int, memory_bytes: int) -> None:
    """No descriptor of the other process but the answer's and the log, its death, and little of everything."""
    os.closerange(3, write_fd)
    os.closerange(write_fd + 1, _ALL_DESCRIPTORS)
    if sys.platform == "linux":
        # Not every process that imports this has a need of it.
        import ctypes

        ctypes.CDLL(None).prctl(_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (computes_s, computes_s + 1))
    hold_to(private_bytes() + stacks_bytes(FEW_THREADS) + memory_bytes)
