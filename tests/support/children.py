"""The processes that this one has started. Orphans that were adopted and have ended are none of them, nor is the
server of commands."""

from __future__ import annotations

import psutil

from tests.support.forked import server_pid


def running_children(*, recursive: bool = False) -> list[psutil.Process]:
    """Those that run; `recursive`: with theirs."""
    found = psutil.Process().children(recursive=recursive)
    return [one for one in found if one.pid != server_pid() and is_running(one)]


def is_running(process: psutil.Process) -> bool:
    """Whether a process has not ended; one that waits for its parent to notice has."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
