"""Ends a worker together with all that it has started, however that has detached itself.

The worker has called `adopt_orphans` or `go_on_guarded`: what its programs leave behind belongs to it, and the tree
below it is whole.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress

from llmspell_protocol.orphans import end_trees


def kill_tree(pid: int) -> None:
    """Ends a child process that was not reaped yet, its process group, and every descendant."""
    end_trees([pid])
    with suppress(ProcessLookupError, PermissionError):
        if os.getpgid(pid) == pid:
            os.killpg(pid, signal.SIGKILL)
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def end_guarded(pid: int) -> None:
    """Asks the guard of a worker to end: it ends the worker and what that has started, waits for all, and goes."""
    if sys.platform != "linux":
        kill_tree(pid)  # There are no guards.
        return
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
