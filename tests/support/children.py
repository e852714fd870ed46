"""The processes that this one has started. Orphans that were adopted and have ended are none of them."""

from __future__ import annotations

import psutil


def running_children(*, recursive: bool = False) -> list[psutil.Process]:
    """Those that run; `recursive`: with theirs."""
    return [one for one in psutil.Process().children(recursive=recursive) if is_running(one)]


def is_running(process: psutil.Process) -> bool:
    """Whether a process has not ended; one that waits for its parent to notice has."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
