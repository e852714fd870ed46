"""Where the debugger's commands come from: a terminal with an editor, or lines of standard input."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from llmspell_cli.terminal.candidates import Candidates
from llmspell_cli.terminal.interrupts import Interrupts
from llmspell_cli.terminal.typed_line import Lines, TypedLines, can_edit

PROMPT = "(debug) > "


class Prompt:
    """Reads one command at a time; `interrupts` are those of a terminal, None where stdin is none."""

    def __init__(self, interrupts: Interrupts | None, names: Sequence[str], *, color: bool) -> None:
        self._interrupts = interrupts
        self._names = names
        self._color = color
        self._lines: Lines | None = None

    def read(self) -> str | None:
        """The next command; None at the end of input. Ctrl-C drops the line."""
        if self._interrupts is None:
            line = sys.stdin.readline()
            return line.removesuffix("\n") if line else None
        if self._lines is None:
            self._lines = self._open(self._interrupts)
        while True:
            try:
                return self._lines.read(PROMPT)
            except EOFError:
                return None
            except KeyboardInterrupt:
                continue

    def close(self) -> None:
        """Leaves the terminal as it was."""
        if self._lines is not None:
            self._lines.close()

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
