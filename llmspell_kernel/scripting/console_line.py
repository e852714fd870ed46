"""Progress for a console: one line of standard error that changes, and stays when the work has ended.

Consoles print displays and ignore their updates; a carriage return moves the cursor in every frontend. Knows no bars.
"""

from __future__ import annotations

from collections.abc import Callable
from unicodedata import east_asian_width

LONGEST = 79
"""Characters of a line that changes: of one that goes on in the next row only that could be written over."""


class ConsoleLine:
    """The last line of a cell's output; `send` writes to standard error."""

    def __init__(self, send: Callable[[str], None]) -> None:
        self._send = send
        self._shown = ""
        """What stands in the line that changes."""
        self._at_start = True
        """Whether the cursor is where a line begins, apart from that."""

    def show(self, text: str, *, last: bool) -> None:
        """Takes the place of what it has shown last; behind the `last` one comes a new line."""
        line = text if last else text[:LONGEST]
        if self._shown:
            lead, blanks = "\r", " " * max(0, _width(self._shown) - _width(line))
        else:
            lead, blanks = "" if self._at_start else "\n", ""
        self._shown, self._at_start = "" if last else line, last
        self._send(f"{lead}{line}{blanks}" + ("\n" if last else ""))

    def leave(self) -> None:
        """Something else is written now: what may still change makes room for it, and comes again behind it."""
        if self._shown:
            blanks = " " * _width(self._shown)
            self._shown, self._at_start = "", True
            self._send(f"\r{blanks}\r")

    def written(self, text: str) -> None:
        """This has been written."""
        self._at_start = text.endswith("\n")

    def end(self) -> None:
        """What stands there stays."""
        if self._shown:
            self._shown, self._at_start = "", True
            self._send("\n")


def _width(text: str) -> int:
    return sum(2 if east_asian_width(one) in ("W", "F") else 1 for one in text)
