"""One program from its start to its end, for scripts and tools. Knows no permissions: what may run is asked before.

It has a process group of its own, an environment that is built and not inherited, no more standard input than it is
given, and pipes that are read as it prints. What it started ends with it, and all ends with the process that runs it.
"""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple

from llmspell_protocol.orphans import children, end_left_behind

_POLL_S = 0.05
"""How often a wait for a program looks whether it has to stop."""
_PIECE_BYTES = 65_536
_PATH = "/usr/local/bin:/usr/bin:/bin"
_PASSED_ON = ("HOME", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR", "TZ", "USER")

OnPiece = Callable[[str, bytes], None]
"""Gets what a program prints: `(stream, bytes)`."""


class Ended(NamedTuple):
    """How a program ended: `exit` and its status, or `signal` and its number."""

    how: str
    code: int


def program_environment(variables: Mapping[str, str]) -> dict[str, str]:
    """The variables of a program: a few of this process's that are no secrets, and those that are given."""
    passed = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    return {"PATH": search_path(), **passed, **variables}


def search_path() -> str:
    """Where programs are looked for: the absolute directories of PATH, which are the same in every directory."""
    found = os.environ.get("PATH", _PATH).split(os.pathsep)
    return os.pathsep.join(one for one in found if os.path.isabs(one)) or _PATH


def run_program(
    words: Sequence[str],
    *,
    directory: str | int | None,
    environment: Mapping[str, str],
    given: bytes,
    on_piece: OnPiece,
    stopped: Callable[[], bool],
) -> Ended:
    """Runs a program to its end, or until `stopped` says so; `given` is its standard input.

    `directory` is a path or a descriptor; `environment` is all that it sees. What it has started and left ends with it.

    Raises:
        OSError: it cannot be started.
    """
    others = children()
    before_it_begins = _preparation(directory)
    process = subprocess.Popen(
        words,
        stdin=subprocess.PIPE if given else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=directory if isinstance(directory, str) else None,
        env=dict(environment),
        process_group=0,
        preexec_fn=before_it_begins,
    )
    try:
        _pass_on(process, given, on_piece, stopped)
    finally:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        status = process.wait()
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                with suppress(BrokenPipeError):
                    pipe.close()
        end_left_behind(others)
    return Ended("exit", status) if status >= 0 else Ended("signal", -status)


def _pass_on(process: subprocess.Popen[bytes], given: bytes, on_piece: OnPiece, stopped: Callable[[], bool]) -> None:
    rest = memoryview(given)
    with selectors.DefaultSelector() as selector:
        for name, pipe in (("stdout", process.stdout), ("stderr", process.stderr)):
            assert pipe is not None
            selector.register(pipe, selectors.EVENT_READ, name)
        if process.stdin is not None:
            os.set_blocking(process.stdin.fileno(), False)
            selector.register(process.stdin, selectors.EVENT_WRITE, "stdin")
        while selector.get_map() and not stopped():
            ready = selector.select(_POLL_S)
            for key, _ in ready:
                if key.data == "stdin":
                    rest = _write(key.fd, rest)
                    if not rest:
                        selector.unregister(key.fileobj)
                        assert process.stdin is not None
                        process.stdin.close()
                    continue
                piece = os.read(key.fd, _PIECE_BYTES)
                if piece:
                    on_piece(key.data, piece)
                else:
                    selector.unregister(key.fileobj)
            if not ready and process.poll() is not None:
                return  # What still holds its pipes is what it left behind.
        while process.poll() is None and not stopped():
            try:
                process.wait(_POLL_S)
            except subprocess.TimeoutExpired:
                continue


def _write(descriptor: int, rest: memoryview) -> memoryview:
    """What is left after as much as the pipe takes; nothing where its reader is gone."""
    try:
        return rest[os.write(descriptor, rest[:_PIECE_BYTES]) :]
    except BlockingIOError:
        return rest
    except BrokenPipeError:
        return rest[len(rest) :]


def _preparation(directory: str | int | None) -> Callable[[], None]:
    """What the child does between its fork and the program.

    All that it needs is imported before: another thread may hold the lock of imports, and a fork lacks that thread.
    """
    import resource

    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    prctl = None
    if sys.platform == "linux":
        import ctypes

        prctl = ctypes.CDLL(None).prctl

    def prepare() -> None:
        if isinstance(directory, int):
            os.fchdir(directory)
        # The worker's limit of address space is the script's, not a program's.
        resource.setrlimit(resource.RLIMIT_AS, (hard, hard))
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        if prctl is not None:
            set_death_signal = 1  # PR_SET_PDEATHSIG, prctl(2)
            prctl(set_death_signal, signal.SIGKILL, 0, 0, 0)

    return prepare
