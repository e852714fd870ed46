"""The programs of one call: which it may run, and what they get. Never a shell between a call and its program.

A program is named as the permission has it (`ls`), or by the path that this name leads to. What it sees is built: a few
harmless variables, those of the client that the call may read, and those that the call gives. Output is bounded, and
the program ends, with all that it started, when its time is over.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Any, NamedTuple

from llmspell_protocol.beneath import NotBeneath, Places, directory_beneath
from llmspell_protocol.errors import InvalidRequest
from llmspell_protocol.program_run import program_environment, run_program, search_path
from llmspell_protocol.request_options import EVERYTHING
from llmspell_protocol.tools.permissions import SETTINGS, Permissions, denied, refused
from llmspell_tools.outcome import ToolFailure

_STEERING = (
    (
        "LD_",
        "DYLD_",
        "BASH_",
        "GIT_",
        "GCONV_",
        "LUA_",
        "MALLOC_",
        "NODE_",
        "PERL",
        "PYTHON",
        "RUBY",
        "JAVA_",
        "_JAVA_",
    ),
    ("CDPATH", "EDITOR", "ENV", "IFS", "LESSOPEN", "LESSCLOSE", "LOCPATH", "NLSPATH", "PAGER", "PATH", "SHELLOPTS"),
)
"""Beginnings and names of variables that make a harmless program run what another file says (ld.so(8), bash(1) …)."""


class Run(NamedTuple):
    """What a program did."""

    exit_code: int
    """its status; negative: the signal that ended it"""
    stdout: bytes
    stderr: bytes
    timed_out: bool
    truncated: bool
    """whether it printed more than is kept"""
    seconds: float


class Programs:
    """What one call may run; `settings` is the table `[tools.system]`."""

    def __init__(self, permissions: Permissions, settings: Mapping[str, Any]) -> None:
        self._permissions = permissions
        self._settings = settings
        self._directory = permissions.working_directory

    @property
    def longest_s(self) -> float:
        """How long one program may run."""
        return float(self._settings.get("command_timeout_seconds", 30))

    @property
    def largest_bytes(self) -> int:
        """How much of its output is kept, of both streams together."""
        return int(self._settings.get("max_output_size", 1_048_576))

    def path_of(self, program: str) -> str:
        """The file that is run for a program that the call may run.

        Raises:
            InvalidRequest: the name is empty or has a zero byte.
            Forbidden: the call may not run it.
            ToolFailure: it is not there.
        """
        if not program or "\0" in program:
            raise InvalidRequest("the program's name is empty" if not program else "the program has a zero byte in it")
        found = self._located(program)
        if not self._permissions.programs_everything and program not in self._permissions.run:
            named = {self._located(name) for name in self._permissions.run} - {None}
            if found is None or found not in named:
                raise denied("run", program)
        if found is None:
            raise ToolFailure(f"{program}: there is no such program", code="not_found")
        return found

    def run(
        self,
        program: str,
        arguments: Sequence[str] = (),
        *,
        directory: str | None = None,
        variables: Mapping[str, str] | None = None,
        given: bytes = b"",
        timeout_s: float | None = None,
    ) -> Run:
        """Runs a program to its end, or to the end of its time (`timeout_s`, not longer than `longest_s`).

        Raises:
            InvalidRequest: an argument or a variable can't be given to a program.
            Forbidden: the call may not run it, not there, or not with such a variable.
            ToolFailure: it can't be started.
        """
        path = self.path_of(program)
        environment = self._environment(variables or {})
        _demand_text(arguments)
        output = _Output(self.largest_bytes)
        limit_s = self.longest_s if timeout_s is None else min(timeout_s, self.longest_s)
        with ExitStack() as stack:
            where = self._held_directory(directory, stack)
            began = time.monotonic()

            def is_over() -> bool:
                return time.monotonic() - began >= limit_s

            try:
                ended = run_program(
                    [path, *arguments],
                    directory=where,
                    environment=environment,
                    given=given,
                    on_piece=output.take,
                    stopped=is_over,
                )
            except OSError as error:
                raise ToolFailure(f"{program}: {(error.strerror or str(error)).lower()}") from None
            seconds = time.monotonic() - began
        code = ended.code if ended.how == "exit" else -ended.code
        was_ended = ended.how == "signal" and seconds >= limit_s
        return Run(
            code, bytes(output.of["stdout"]), bytes(output.of["stderr"]), was_ended, output.is_truncated, seconds
        )

    def _located(self, program: str) -> str | None:
        """The program's file, in its directory's real path; None where there is none.

        Its own name stays: a program of many names does what it is called by.
        """
        if "/" in program:
            if not os.path.isabs(program):
                if self._directory is None:
                    return None
                program = os.path.join(self._directory, program)
            found = program if os.path.isfile(program) and os.access(program, os.X_OK) else None
        else:
            found = shutil.which(program, path=search_path())
        if found is None:
            return None
        return os.path.join(os.path.realpath(os.path.dirname(found)), os.path.basename(found))

    def _held_directory(self, directory: str | None, stack: ExitStack) -> int | str | None:
        """A directory that the call may read, held open: what was looked at is where the program starts."""
        if directory is None:
            return self._directory
        if "\0" in directory:
            raise InvalidRequest("the working directory has a zero byte in it")
        if self._directory is None and not os.path.isabs(directory):
            raise InvalidRequest(f"'{directory}' is not a whole path", hint="begin it with /")
        whole = os.path.join(self._directory or "/", directory)
        readable = Places("/" if path == EVERYTHING else path for path in self._permissions.read)
        try:
            return stack.enter_context(directory_beneath(readable, whole))
        except NotBeneath:
            raise denied("read", whole) from None
        except OSError as error:
            raise ToolFailure(f"{directory}: {(error.strerror or str(error)).lower()}") from None

    def _environment(self, variables: Mapping[str, str]) -> dict[str, str]:
        for name, value in variables.items():
            if not name or "=" in name or "\0" in name + value:
                raise InvalidRequest(f"environment: {name!r} can't be a variable of a program")
            if not self._permissions.programs_everything and _steers(name):
                error = refused(
                    "run", f"{name}={value}", why="it can make a program run others", setting=SETTINGS["run"]
                )
                error.hint = "it is given to programs where all may run: --allow-run"
                raise error
        return program_environment({**self._permissions.variables, **variables})


class _Output:
    """What is kept of a program's output: the beginning, and all is read on so that the program isn't held up."""

    def __init__(self, limit: int) -> None:
        self.of = {"stdout": bytearray(), "stderr": bytearray()}
        self.is_truncated = False
        self._left = limit

    def take(self, stream: str, piece: bytes) -> None:
        self.of[stream] += piece[: self._left]
        self.is_truncated = self.is_truncated or len(piece) > self._left
        self._left = max(0, self._left - len(piece))


def _steers(name: str) -> bool:
    beginnings, names = _STEERING
    return name.upper().startswith(beginnings) or name.upper() in names


def _demand_text(arguments: Sequence[str]) -> None:
    for number, one in enumerate(arguments, 1):
        if "\0" in one:
            raise InvalidRequest(f"argument {number} has a zero byte in it")
