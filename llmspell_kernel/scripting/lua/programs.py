"""Programs that a script runs, by permission: each in a group of its own, without secrets, ended with what it started.

A command line goes to a shell only where every program may be run. Otherwise it is a program and its arguments, and
what only a shell would understand is refused.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping, Sequence

from llmspell_kernel.scripting.lua.files import EVERYTHING
from llmspell_kernel.scripting.lua.refusals import Denied, refusal
from llmspell_protocol.program_run import Ended, OnPiece, program_environment, run_program

_FOR_A_SHELL = re.compile(r"[|&;<>()$`\\*?\[\]{}~#\n!]")


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

    def allow(self, name: str) -> None:
        """From here on a program may be run."""
        self._names |= {name}

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
            message = f"{asker}: running {program} needs --allow-run={program} (Command blocked)"
            raise Denied(message, "run", program)
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
        return run_program(
            words,
            directory=self._directory,
            environment=program_environment(self._environment),
            given=given,
            on_piece=on_piece,
            stopped=stopped,
        )
