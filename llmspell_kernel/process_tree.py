"""Ends a worker together with all that it has started, however that has detached itself.

The worker has called `adopt_orphans`: what its programs leave behind belongs to it, and the tree below it is whole.
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress


def kill_tree(pid: int) -> None:
    """Ends a child process that was not reaped yet, and every descendant.

    It is stopped first, so that it starts nothing more; what is found is stopped too, until nothing new is found.
    """
    # Only what ends a worker needs it.
    import psutil

    seen: dict[int, psutil.Process] = {}
    with suppress(psutil.NoSuchProcess):
        top = psutil.Process(pid)
        top.suspend()
        while found := [one for one in top.children(recursive=True) if one.pid not in seen]:
            for one in found:
                seen[one.pid] = one
                with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                    one.suspend()
    for one in seen.values():
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            one.kill()
    with suppress(ProcessLookupError, PermissionError):
        if os.getpgid(pid) == pid:
            os.killpg(pid, signal.SIGKILL)
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
