"""What a test may leave behind: nothing. Compares processes and socket directories before and after."""

from __future__ import annotations

import ctypes
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.support.forked import server_pid

SETTLE_S = 30.0
_PR_SET_CHILD_SUBREAPER = 36


def adopt_orphans() -> None:
    """Makes this process the parent of orphaned descendants, so that none escapes the comparison (Linux only)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


@dataclass(frozen=True)
class Traces:
    """Processes below this one, and sockets and directories that kernels and workers make outside a home."""

    processes: frozenset[int]
    paths: frozenset[Path]

    @classmethod
    def now(cls) -> Traces:
        """What is there at this moment."""
        return cls(frozenset(process.pid for process in _descendants()), frozenset(_paths()))


def _children_of(pid: int) -> set[int] | None:
    """The process ids of the children of a process, ended or not; None where the system does not say."""
    try:
        found = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/children")]
    except OSError:
        return None
    return {int(child) for text in found for child in text.split()} if found else None


def _has_children() -> bool:
    """Whether this process or the server of commands has a child, ended or not; where that can't be asked, True."""
    server = server_pid()
    ours = _children_of(os.getpid())
    if ours is not None:
        return bool(ours - {server}) or (server is not None and bool(_children_of(server)))
    if server is not None or not hasattr(os, "waitid"):
        return True
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def _descendants() -> list[psutil.Process]:
    # Orphans are adopted, so no child means no descendant; psutil reads every process of the machine, 2 ms a time.
    if not _has_children():
        return []
    found = []
    for process in psutil.Process().children(recursive=True):
        if process.pid == server_pid():
            continue
        try:
            if process.status() != psutil.STATUS_ZOMBIE and "resource_tracker" not in " ".join(process.cmdline()):
                found.append(process)
        except psutil.NoSuchProcess:
            continue
    return found


def _paths() -> list[Path]:
    directories = [Path(tempfile.gettempdir())]
    if runtime := os.environ.get("XDG_RUNTIME_DIR"):
        directories.append(Path(runtime))
    return [path for directory in directories for path in directory.glob("llmspell*")]


def _reap_orphans(before: Traces) -> None:
    """Waits for the adopted processes that have ended; they would stay as zombies."""
    if not _has_children():
        return
    for process in psutil.Process().children():
        if process.pid not in before.processes and process.status() == psutil.STATUS_ZOMBIE:
            os.waitpid(process.pid, os.WNOHANG)


def left_since(before: Traces) -> list[str]:
    """What came since and did not go within five seconds, in words; the processes are ended."""
    new = [process for process in _descendants() if process.pid not in before.processes]
    _gone, alive = psutil.wait_procs(new, timeout=SETTLE_S)
    left = []
    for process in alive:
        try:
            left.append(f"process {process.pid}: {' '.join(process.cmdline())[:200]}")
            process.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(alive, timeout=SETTLE_S)
    _reap_orphans(before)
    left += [f"path {path}" for path in _paths() if path not in before.paths]
    return left
