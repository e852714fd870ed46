"""What a process that runs others' programs calls, so that its end, or a call's, is the end of all that was started.

A program that detaches itself (a session of its own, a parent that has ended) leaves its group and its parent, but not
the process that adopts orphans: there it is found, and ended. Linux only; elsewhere what detaches itself stays.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Collection, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    import psutil

_SET_DEATH_SIGNAL = 1
_SET_CHILD_SUBREAPER = 36
"""PR_SET_PDEATHSIG and PR_SET_CHILD_SUBREAPER of prctl(2)."""
_ROUNDS = 100
"""How often what was started meanwhile is looked for: stopped processes start nothing, so that few rounds find all."""


def adopt_orphans() -> None:
    """This process becomes the parent of whatever its descendants leave behind, in place of init.

    Nothing on other systems than Linux.
    """
    if sys.platform == "linux":
        _prctl(_SET_CHILD_SUBREAPER, 1)


def go_on_guarded() -> None:
    """Goes on in a child of this process, which stays as its guard: however the child ends, all that it started ends.

    The guard ends as the child does, or with its own parent. Called before there are threads. Both adopt orphans.
    Nothing on other systems than Linux.
    """
    if sys.platform != "linux":
        return
    adopt_orphans()
    heard = {signal.SIGCHLD, signal.SIGTERM}
    # A parent that ignores the ends of its children may have handed that on; nothing could be waited for then.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_BLOCK, heard)
    guard = os.getpid()
    child = os.fork()
    if child:
        _guard(child, heard)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, heard)
    _prctl(_SET_DEATH_SIGNAL, signal.SIGKILL)
    if os.getppid() != guard:
        raise SystemExit("the guard ended before its worker began")
    adopt_orphans()


def _guard(child: int, heard: Collection[signal.Signals]) -> NoReturn:
    """Waits for the child's end, or for that of this process's parent; ends what is left, and this process."""
    _prctl(_SET_DEATH_SIGNAL, signal.SIGTERM)
    # The child's pipe is closed when the child's end of it is.
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    status = None
    while status is None and signal.sigwait(heard) == signal.SIGCHLD:
        with suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                if ended[0] == child:
                    status = ended[1]
    end_left_behind()
    if status is None:
        _end_by(signal.SIGTERM)
    elif os.WIFSIGNALED(status):
        _end_by(os.WTERMSIG(status))
    else:
        os._exit(os.WEXITSTATUS(status))


def _end_by(number: int) -> NoReturn:
    """Ends this process by a signal, without a second core file."""
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if number not in (signal.SIGKILL, signal.SIGSTOP):
        signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})
    os.kill(os.getpid(), number)
    os._exit(128 + number)


def _prctl(option: int, value: int) -> None:
    import ctypes

    ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def end_trees(pids: Iterable[int]) -> None:
    """Ends processes and all below them: each is stopped as it is found, until nothing new is found; then all end.

    They are not waited for.
    """
    # Only what ends processes needs it.
    import psutil

    seen: dict[int, psutil.Process] = {}
    for pid in pids:
        with suppress(psutil.NoSuchProcess):
            _stop(seen, psutil.Process(pid))
    tops = list(seen.values())
    for _ in range(_ROUNDS):
        found = []
        for top in tops:
            with suppress(psutil.NoSuchProcess):
                found += [one for one in top.children(recursive=True) if one.pid not in seen]
        if not found:
            break
        for one in found:
            _stop(seen, one)
    for one in seen.values():
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            one.kill()


def _stop(seen: dict[int, psutil.Process], process: psutil.Process) -> None:
    import psutil

    seen[process.pid] = process
    with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
        process.suspend()


def children() -> frozenset[int]:
    """The process ids of this process's children, those that have ended and were not waited for included."""
    if not _has_children():
        return frozenset()
    # As above: seldom there is one.
    import psutil

    return frozenset(one.pid for one in psutil.Process().children())


def end_left_behind(spared: Collection[int] = ()) -> None:
    """Ends every child of this process, adopted or its own, with all below it, and waits for it; `spared` stay."""
    out_of_reach = set(spared)
    for _ in range(_ROUNDS):
        found = children() - out_of_reach
        if not found:
            return
        end_trees(found)
        for pid in found:
            try:
                os.kill(pid, signal.SIGKILL)
            except PermissionError:
                out_of_reach.add(pid)  # It runs as another user, as `sudo` makes it.
                continue
            except ProcessLookupError:
                pass
            with suppress(ChildProcessError):
                os.waitpid(pid, 0)


def _has_children() -> bool:
    """Whether this process has a child; where that can't be asked (macOS before Python 3.13), True."""
    if not hasattr(os, "waitid"):
        return True
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True
