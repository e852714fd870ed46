"""A reply on stdout as it comes: where people watch, its words and what the model thought before them, dimmed.

Knows the contents of deltas and of a whole reply; not how they are asked for.
"""

from __future__ import annotations

import sys
from typing import Literal, NamedTuple

from llmspell_cli.chat.tool_use import line_of
from llmspell_cli.session import Content
from llmspell_cli.terminal.output import DIM, Output, styled
from llmspell_cli.terminal.reply_text import ReplyText, dimmed_text, reply_text


class Shown(NamedTuple):
    """How a reply is shown; `block` is the code block that is all that is wanted of it."""

    stream: bool = True
    markdown: bool = False
    stats: bool = False
    timeout_s: float | None = None
    thinking: bool = True
    block: Literal["first", "last"] | None = None


class ReplyView:
    """One reply. A pipe gets the answer alone, byte for byte."""

    def __init__(self, output: Output, *, markdown: bool, thinking: bool, verbose: bool = False) -> None:
        self._output = output
        self._markdown = markdown
        self._text = reply_text(output, markdown=markdown)
        self._thoughts: ReplyText | None = None
        self._watched = thinking and output.terminal
        self._verbose = verbose

    def show(self, piece: Content) -> None:
        """A piece of the reply, or the whole message: `reasoning` and the `text` behind it."""
        if (thought := piece.get("reasoning")) and self._watched:
            if self._thoughts is None:
                self._thoughts = dimmed_text(self._output)
                self._thoughts.feed("Thinking …\n")
            self._thoughts.feed(thought)
        if (event := piece.get("tool")) and self._output.terminal:
            self._show_call(line_of(event, verbose=self._verbose))
        if text := piece.get("text"):
            self._end_thoughts()
            self._text.feed(text)

    def finish(self) -> None:
        """The reply is over: shows what was held back, and ends no line."""
        self._end_thoughts()
        self._text.finish()

    def _show_call(self, line: str | None) -> None:
        if line is None:
            return
        self.finish()
        if self.in_line:
            self._output.line()
        self._output.shown_line(styled(line, DIM, sys.stdout, self._output.color))
        self._text = reply_text(self._output, markdown=self._markdown)

    @property
    def in_line(self) -> bool:
        """Whether the cursor stands behind something."""
        return self._text.in_line

    def _end_thoughts(self) -> None:
        if self._thoughts is not None:
            self._thoughts.feed("\n… done thinking\n\n")
            self._thoughts.finish()
            self._thoughts = None
