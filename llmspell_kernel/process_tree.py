"""Ends a worker together with all that it has started, however that has detached itself.

The worker has called `adopt_orphans`: what its programs leave behind belongs to it, and the tree below it is whole.
"""

from __future__ import annotations

import os
import signal
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
