"""Where a text is divided rather than elsewhere. What a strategy finds, and all that it has to find."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_BLANK_LINES = re.compile(r"\n(?:[^\S\n]*\n)+")
_LINE_ENDS = re.compile(r"\r\n?|\n")


@dataclass(frozen=True, slots=True, kw_only=True)
class Borders:
    """Offsets of characters where parts begin, in lists from the strongest borders to the weakest."""

    levels: Sequence[Sequence[int]] = ()
    always: int = 0
    """at the borders of so many levels a new chunk begins, unless the one before is still too short"""
    together: int = 0
    """a part between borders of so many levels that is too large for one chunk begins one, in the same way"""
    whole: bool = True
    """whether what lies between two borders stays whole up to the largest size"""


def paragraphs(text: str) -> list[int]:
    """Where paragraphs begin: after blank lines."""
    return [match.end() for match in _BLANK_LINES.finditer(text)]


def lines(text: str) -> list[int]:
    """Where lines begin, but for the first."""
    return [match.end() for match in _LINE_ENDS.finditer(text)]


def joined(*places: Iterable[int]) -> list[int]:
    """All of the offsets, each once, in order."""
    return sorted({place for some in places for place in some})
