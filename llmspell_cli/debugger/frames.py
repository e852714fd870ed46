"""The calls that led to where a script is paused, and lines of its source. Knows no commands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from llmspell_cli.session import Content


class Where(NamedTuple):
    """Where the script stands, innermost frame first, and the one that is looked at."""

    frames: Sequence[Content]
    at: int = 0

    @property
    def frame(self) -> Content:
        """The frame that is looked at."""
        return self.frames[self.at]


def numbered(line: int, text: str) -> str:
    """A line of a source with its number before it."""
    return f"{line:5} | {text}"
