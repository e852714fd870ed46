"""Programs that a script runs, by permission: each in a group of its own, without secrets, ended with what it started.

A command line goes to a shell only where every program may be run. Otherwise it is a program and its arguments, and
what only a shell would understand is refused.
"""

from __future__ import annotations

import os
import re
import selectors
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from llmspell_kernel.scripting.lua.files import EVERYTHING
from llmspell_kernel.scripting.lua.refusals import refusal

_FOR_A_SHELL = re.compile(r"[|&;<>()$`\\*?\[\]{}~#\n!]")
_POLL_S = 0.05
"""How often a script that waits for a program looks whether it has to stop."""
_PIECE_BYTES = 65_536
_PATH = "/usr/local/bin:/usr/bin:/bin"

OnPiece = Callable[[str, bytes], None]
"""Gets what a program prints: `(stream, bytes)`."""


class Ended(NamedTuple):
    """How a program ended: its exit status, or the signal."""

    how: str
    code: int


class Programs:
    """What one execution may run: `names` are programs as they are called, or their absolute paths; `*` is all."""

    def __init__(
        self,
        names: Sequence[str] = (),
        directory: str | None = None,
        environment: Mapping[str, str] | None = None,
        max_output_bytes: int = 1_048_576,
    ) -> None:
        self.max_output_bytes = max_output_bytes
        self._names = frozenset(names)
        self._directory = directory
        self._environment = environment or {}

    @property
    def any(self) -> bool:
        """Whether there is anything to be run."""
        return bool(self._names)

    def words(self, command: str, asker: str) -> list[str]:
        """The program and its arguments; a shell's where all programs may be run.

        Raises:
            Refusal: the script may not run it.
        """
        if EVERYTHING in self._names:
            return ["/bin/sh", "-c", command]
        try:
            words = shlex.split(command)
        except ValueError as problem:
            raise refusal("invalid_request", f"{asker}: {command}: {str(problem).lower()}") from None
        if not words:
            raise refusal("invalid_request", f"{asker}: there is no program")
        program = words[0]
        if program not in self._names:
            raise refusal("not_found", f"{asker}: running {program} needs --allow-run={program} (Command blocked)")
        special = _FOR_A_SHELL.search(re.sub(r"'[^']*'", "", command))
        if special is not None:
            raise refusal(
                "not_found", f"{asker}: '{special[0]}' needs a shell: --allow-run without names (Command blocked)"
            )
        return words

    def run(self, words: Sequence[str], given: bytes, on_piece: OnPiece, stopped: Callable[[], bool]) -> Ended:
        """Runs a program to its end; `given` is its standard input. What it has started and left ends with it.

        Raises:
            OSError: it cannot be started.
        """
        process = subprocess.Popen(
            words,
            stdin=subprocess.PIPE if given else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=self._directory,
            env={**_own_environment(), **self._environment},
            process_group=0,
            preexec_fn=_in_the_child,
        )
        try:
            self._pass_on(process, given, on_piece, stopped)
        finally:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            status = process.wait()
            for pipe in (process.stdin, process.stdout, process.stderr):
                if pipe is not None:
                    pipe.close()
        return Ended("exit", status) if status >= 0 else Ended("signal", -status)

    def _pass_on(
        self, process: subprocess.Popen[bytes], given: bytes, on_piece: OnPiece, stopped: Callable[[], bool]
    ) -> None:
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


def _own_environment() -> dict[str, str]:
    passed = ("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR", "TZ", "USER")
    return {"PATH": _PATH, **{name: os.environ[name] for name in passed if name in os.environ}}


def _in_the_child() -> None:
    import resource

    # The worker's limit of memory is the script's, not a program's.
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    resource.setrlimit(resource.RLIMIT_AS, (hard, hard))
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if sys.platform == "linux":
        import ctypes

        set_death_signal = 1  # PR_SET_PDEATHSIG, prctl(2)
        ctypes.CDLL(None).prctl(set_death_signal, signal.SIGKILL, 0, 0, 0)
