"""A foreign server as a part of this process: it starts here, ends with it, and takes it along when it ends by itself.

Knows processes and signals, not what is served. A request that is open when the server dies is answered by the death
of this process, which its own parent sees and tells of.
"""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

_DEATH_SIGNAL = 1
"""PR_SET_PDEATHSIG, prctl(2)."""
_DEATH_S = 5.0
_GUARD = 'read -r _; kill -9 "$1"'
"""Its input never says anything and ends with the process that holds the other end."""


class ServerProcess:
    """A running server; start it on the main thread, whose end is the server's end on Linux."""

    def __init__(self, command: Sequence[str | Path]) -> None:
        """The server's output goes where this process's errors go."""
        self._process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=2, stderr=2, preexec_fn=_death_signal()
        )
        self._guard = None if sys.platform == "linux" else guard(self._process.pid)
        self._is_wanted = True

    @property
    def pid(self) -> int:
        """The server's process id."""
        return self._process.pid

    def wait(self, timeout_s: float) -> int | None:
        """The exit status (negative: the signal), None when the server still runs after that time."""
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None

    def share_its_end(self) -> None:
        """From here on this process ends when the server does, and in the same way."""
        threading.Thread(target=self._follow, name="server", daemon=True).start()

    def end(self) -> None:
        """Ends the server and waits until it is gone."""
        self._is_wanted = False
        self._process.kill()
        self._process.wait()
        if self._guard is not None:
            self._guard.kill()
            self._guard.wait()

    def _follow(self) -> None:
        status = self._process.wait()
        if self._is_wanted:
            end_like(status)


def end_like(status: int) -> None:
    """Ends this process by the signal that ended another one, or with its status (1 for 0: it was not asked to end)."""
    sys.stderr.flush()
    if status >= 0:
        os._exit(status or 1)
    # The other one has left its core already, if another process wants it.
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    os.kill(os.getpid(), -status)
    threading.Event().wait(_DEATH_S)
    os._exit(128 - status)  # a signal that Python ignores


def guard(pid: int) -> subprocess.Popen[bytes]:
    """A process that kills another one when this one is gone, for systems without a death signal."""
    return subprocess.Popen(["/bin/sh", "-c", _GUARD, "guard", str(pid)], stdin=subprocess.PIPE)


def _death_signal() -> Callable[[], None] | None:
    if sys.platform != "linux":
        return None
    import ctypes

    prctl, parent = ctypes.CDLL(None).prctl, os.getpid()

    def set_it() -> None:
        prctl(_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return set_it
