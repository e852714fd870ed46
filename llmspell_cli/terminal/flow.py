"""Text that comes in pieces, at a terminal: lines are broken between words, and nothing written is taken back.

A word is written when its end has come, so the cursor only ever moves forward and what is copied is what was said.
Knows columns and words; what the text means is `reply_text`'s.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

from llmspell_cli.terminal.widths import breaks_between, width_of

_TAB = 8


class Flow:
    """Writes words to stdout. `room` tells the terminal's columns, which may change; `color` allows styles."""

    def __init__(self, room: Callable[[], int], *, color: bool) -> None:
        self._room = room
        self._color = color
        self._column = 0
        self._now = ""
        """The style that the terminal is in."""
        self._blanks: list[tuple[str, str]] = []
        """Runs of (style, text) between the last word and the next."""
        self._word: list[tuple[str, str]] = []
        """Runs of (style, text) of the word whose end has not come."""
        self._begun = False
        """Whether the line has a word in it already, its indentation apart."""
        self.hang = ""
        """What the further lines of a broken line begin with."""

    def put(self, text: str, style: str = "") -> None:
        """Takes text in a style (SGR codes, `1;3`); whole words are written."""
        for char in text:
            if char == "\n":
                self.end_line()
            elif char in " \t":
                self._end_word()
                self._blanks.append((style, char))
            else:
                last = self._word[-1][1][-1] if self._word else ""
                if last and breaks_between(last, char):
                    self._end_word()
                self._add(char, style)

    def verbatim(self, text: str, style: str = "") -> None:
        """Writes text as it is and at once; the terminal breaks what is too long."""
        self._end_word()
        self._write_blanks()
        for at, line in enumerate(text.split("\n")):
            if at:
                self._newline()
            if line:
                self._write(line, style)
                self._begun = True

    def end_line(self) -> None:
        """Ends the line."""
        self._end_word()
        self._newline()

    def finish(self) -> None:
        """Writes what is held back."""
        self._end_word()
        self._blanks.clear()
        self.show()

    def show(self) -> None:
        """Has what was written seen; whatever ends the command now leaves no style behind."""
        self._style("")
        sys.stdout.flush()

    @property
    def in_line(self) -> bool:
        """Whether the cursor stands behind something."""
        return self._column > 0 or bool(self._word)

    def _add(self, char: str, style: str) -> None:
        if self._word and self._word[-1][0] == style:
            self._word[-1] = (style, self._word[-1][1] + char)
        else:
            self._word.append((style, char))

    def _end_word(self) -> None:
        if not self._word:
            return
        room = max(self._room(), 1)
        if self._column > room:
            # A word longer than a line, or a window that has become narrower: what is one line stands in several.
            self._column = (self._column - 1) % room + 1
        between = len("".join(text for _, text in self._blanks).expandtabs(_TAB))
        wide = width_of("".join(text for _, text in self._word))
        if self._begun and self._column + between + wide > room:
            self._newline()
            self._write(self.hang, "")
        else:
            self._write_blanks()
        for style, text in self._word:
            self._write(text, style)
        self._word.clear()
        self._begun = True

    def _write_blanks(self) -> None:
        for style, text in self._blanks:
            self._write(text.expandtabs(_TAB), style)
        self._blanks.clear()

    def _newline(self) -> None:
        self._style("")
        sys.stdout.write("\n")
        self._column = 0
        self._blanks.clear()
        self._begun = False

    def _write(self, text: str, style: str) -> None:
        if text:
            self._style(style)
            sys.stdout.write(text)
            self._column += width_of(text)

    def _style(self, wanted: str) -> None:
        if self._color and wanted != self._now:
            sys.stdout.write("\x1b[0m" * bool(self._now) + f"\x1b[{wanted}m" * bool(wanted))
            self._now = wanted
