"""Whether a process that is no child of this one has ended. Knows pids alone; waits for nothing."""

from __future__ import annotations

import os
import sys

POLL_S = 1.0
"""How often to look where nothing tells of the end; ipykernel looks as often."""


def end_descriptor(pid: int) -> int | None:
    """A descriptor that is readable once the process has ended; None where there is none, and `lives` has to be asked.

    Raises:
        ProcessLookupError: there is no such process.
    """
    if sys.platform != "linux":
        return None
    try:
        return os.pidfd_open(pid)
    except ProcessLookupError:
        raise
    except OSError:
        return None  # An older system, or a container that forbids it.


def lives(pid: int) -> bool:
    """Whether there is a process of this id, whose ever it is."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
