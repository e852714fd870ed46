"""Lines from a terminal that edits them itself: answers to questions, and all input where there is no cursor to move.

Knows signals and the terminal's echo, not what is asked.
"""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Protocol

from llmspell_cli.terminal.interrupts import Interrupts
from llmspell_cli.terminal.quiet import QuietTerminal
from llmspell_protocol.client.interrupts import Sleep

CONTINUATION = "... "
"""What stands before the second and further lines of an input."""


class Lines(Protocol):
    """Where the inputs of an interactive command come from, one after another."""

    def read(self, prompt: str) -> str:
        """One input; EOFError at the end, KeyboardInterrupt for Ctrl-C."""

    def typed_ahead(self) -> str | None:
        """A whole line that was typed behind the last input and not read as one; None if there is none."""

    def close(self) -> None:
        """Ends it."""


def can_edit() -> bool:
    """Whether a line editor has a terminal to draw on."""
    drawn = sys.stdout.isatty() or sys.stderr.isatty()
    return drawn and os.environ.get("TERM", "").lower() not in ("", "dumb", "unknown")


class TypedLines:
    """Inputs that the terminal edits, line by line; `incomplete` as for the line editor. `quiet` echoes them."""

    def __init__(
        self, interrupts: Interrupts, quiet: QuietTerminal | None = None, *, incomplete: Callable[[str], bool]
    ) -> None:
        self._interrupts = interrupts
        self._quiet = quiet
        self._incomplete = incomplete

    def read(self, prompt: str) -> str:
        """One input, without the newline at its end."""
        with self._quiet.echoing() if self._quiet is not None else nullcontext():
            text = typed_line(self._interrupts, prompt)
            while self._incomplete(text):
                text += "\n" + typed_line(self._interrupts, CONTINUATION)
        return text

    def typed_ahead(self) -> str | None:
        """The terminal keeps what is typed ahead."""
        return None

    def close(self) -> None:
        """Nothing to end."""


def typed_line(interrupts: Interrupts, prompt: str = "", *, hidden: bool = False) -> str:
    """Shows the prompt and reads a line; `hidden` does not show what is typed.

    Raises:
        EOFError: Ctrl-D, or the terminal is gone.
        KeyboardInterrupt: Ctrl-C.
    """
    sleep = Sleep()
    try:
        with interrupts.received_by(sleep.ring), _echo(shown=not hidden):
            # Not before the echo is off: who sees the prompt may type.
            sys.stdout.write(prompt)
            sys.stdout.flush()
            _wait(sleep, interrupts)
            line = sys.stdin.readline()
    finally:
        sleep.close()
    if not line:
        raise EOFError
    return line.removesuffix("\n")


def _wait(sleep: Sleep, interrupts: Interrupts) -> None:
    """Until a line is there: a read would sleep through a Ctrl-C that comes just before it."""
    sleep.watch(sys.stdin.fileno())
    while True:
        if interrupts.take():
            raise KeyboardInterrupt
        if select.select([sys.stdin], [], [], 0)[0]:
            return
        sleep(None)


@contextmanager
def _echo(*, shown: bool) -> Iterator[None]:
    if shown:
        yield
        return
    # Needed for hidden input only.
    import termios

    fd = sys.stdin.fileno()
    before = termios.tcgetattr(fd)
    silent = termios.tcgetattr(fd)
    silent[3] &= ~termios.ECHO
    try:
        termios.tcsetattr(fd, termios.TCSADRAIN, silent)
        yield
    finally:
        termios.tcsetattr(fd, termios.TCSADRAIN, before)
        sys.stdout.write("\n")
        sys.stdout.flush()
