"""What a model thinks aloud before it answers: dimmed, where people watch. A pipe gets the answer alone."""

from __future__ import annotations

import sys

from llmspell_cli.terminal.output import DIM, Output, styled
from llmspell_cli.terminal.visible import visible_lines


class Thoughts:
    """The thoughts of one reply; `wanted` False (`--hide-thinking`) shows none."""

    def __init__(self, output: Output, *, wanted: bool) -> None:
        self._output = output
        self._wanted = wanted and output.terminal and not output.json
        self._open = False

    def show(self, piece: str, *, before: str) -> None:
        """A piece of thought, and the piece of the answer that comes with it or behind it."""
        if not self._wanted:
            return
        if piece:
            self._dim(piece if self._open else f"Thinking …\n{piece}")
            self._open = True
        if before:
            self.end()

    def end(self) -> None:
        """The answer begins, or none will come."""
        if self._open:
            self._dim("\n… done thinking\n\n")
            self._open = False

    def _dim(self, text: str) -> None:
        self._output.write(styled(visible_lines(text), DIM, sys.stdout, self._output.color))
