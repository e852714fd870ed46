"""The debugger's commands at a terminal: from a prompt while the script stands, and what is typed while it runs."""

from __future__ import annotations

import select
import sys
from collections import deque
from collections.abc import Callable, Sequence

from llmspell_cli.debugger.typed import command_and_rest
from llmspell_cli.terminal.candidates import Candidates
from llmspell_cli.terminal.interrupts import Interrupts
from llmspell_cli.terminal.typed_line import Lines, TypedLines, can_edit
from llmspell_protocol.client.sync import HasFileno

PROMPT = "(debug) > "
_AT_ONCE = ("pause", "quit", "q", "exit", "help", "h", "?")
"""What a script that runs is given; the rest is about one that stands, and waits for that."""


class Prompt:
    """Reads one command at a time. `remark` shows what is to be said of a line that waits."""

    def __init__(
        self, interrupts: Interrupts, names: Sequence[str], remark: Callable[[str], None], *, color: bool
    ) -> None:
        self._interrupts = interrupts
        self._names = names
        self._remark = remark
        self._color = color
        self._lines: Lines | None = None
        self._waiting: deque[str] = deque()

    @property
    def source(self) -> HasFileno | None:
        """What to wait for while the script runs."""
        return sys.stdin

    def read(self) -> str | None:
        """The next command; None at the end of input. Ctrl-C drops the line."""
        if self._waiting:
            line = self._waiting.popleft()
            sys.stdout.write(f"{PROMPT}{line}\n")
            return line
        if self._lines is None:
            self._lines = self._open(self._interrupts)
        while True:
            try:
                return self._lines.read(PROMPT)
            except EOFError:
                return None
            except KeyboardInterrupt:
                continue

    def at_once(self) -> str | None:
        """A command that a running script is given; None if nothing more was typed. Ctrl-D means `quit`, as it does at
        the prompt."""
        while True:
            ahead = self._lines.typed_ahead() if self._lines is not None else None
            line = ahead if ahead is not None else self._typed()
            if line is None:
                return None
            word, _ = command_and_rest(line)
            if word in _AT_ONCE:
                return line
            if word:
                self._waiting.append(line)
                if ahead is None:
                    # What was typed ahead at the prompt is known to be early.
                    self._remark(f"{word} waits until the script stops or reads; pause stops it")

    def ahead(self) -> str | None:
        """The next line that waits, for a script that reads; None if there is none."""
        return self._waiting.popleft() if self._waiting else None

    def close(self) -> None:
        """Leaves the terminal as it was."""
        if self._lines is not None:
            self._lines.close()

    def _typed(self) -> str | None:
        """A line that the terminal has; None if it has none."""
        if not select.select([sys.stdin], [], [], 0)[0]:
            return None
        try:
            line = sys.stdin.readline()
        except OSError:
            line = ""  # The terminal is gone.
        return line.removesuffix("\n") if line else "quit"

    def _open(self, interrupts: Interrupts) -> Lines:
        if not can_edit():
            return TypedLines(interrupts, incomplete=lambda _: False)
        # The editor takes a tenth of a second to import; only a terminal needs it.
        from llmspell_cli.terminal.line_editor import LineEditor

        return LineEditor(interrupts, color=self._color, incomplete=lambda _: False, inputs=(), offer=self._offer)

    def _offer(self, text: str, cursor: int) -> Candidates:
        word = text[:cursor]
        found = sorted(name for name in self._names if name.startswith(word)) if " " not in word else []
        return Candidates(found, 0)
