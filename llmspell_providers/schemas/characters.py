"""Sets of characters, as intervals of code points. Knows no pattern."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

_LAST = 0x10FFFF


@dataclass(frozen=True, slots=True)
class Characters:
    """A set; its intervals are in order, apart from each other, and have both ends in them."""

    intervals: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, intervals: Iterable[tuple[int, int]]) -> Characters:
        """The union of intervals."""
        joined: list[tuple[int, int]] = []
        for low, high in sorted(intervals):
            if joined and low <= joined[-1][1] + 1:
                joined[-1] = (joined[-1][0], max(high, joined[-1][1]))
            else:
                joined.append((low, high))
        return cls(tuple(joined))

    @classmethod
    def one(cls, character: str) -> Characters:
        """A set of one."""
        return cls(((ord(character), ord(character)),))

    def __or__(self, other: Characters) -> Characters:
        return Characters.of((*self.intervals, *other.intervals))

    def __sub__(self, other: Characters) -> Characters:
        return ~(~self | other)

    def __invert__(self) -> Characters:
        outside: list[tuple[int, int]] = []
        begin = 0
        for low, high in self.intervals:
            if begin < low:
                outside.append((begin, low - 1))
            begin = high + 1
        if begin <= _LAST:
            outside.append((begin, _LAST))
        return Characters(tuple(outside))

    def __contains__(self, character: str) -> bool:
        return any(low <= ord(character) <= high for low, high in self.intervals)

    def __bool__(self) -> bool:
        return bool(self.intervals)

    @property
    def only(self) -> str | None:
        """The character of a set of one."""
        (low, high), *more = self.intervals or ((0, 1),)
        return chr(low) if low == high and not more else None

    @property
    def is_open(self) -> bool:
        """Whether the last code point is in it, as in everything but some characters."""
        return bool(self.intervals) and self.intervals[-1][1] == _LAST


SURROGATES = Characters(((0xD800, 0xDFFF),))
ESCAPED = Characters.of([(0x00, 0x1F), (0x22, 0x22), (0x5C, 0x5C), (0x7F, 0x7F)]) | SURROGATES
"""What a text in JSON has no other way to hold than escaped, and what grammars of JSON leave out."""
DIGITS = Characters.of([(0x30, 0x39)])
WORD = Characters.of([(0x30, 0x39), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A)])
BLANKS = Characters.of([(0x09, 0x0D), (0x20, 0x20)])
LINE_ENDS = Characters.of([(0x0A, 0x0A), (0x0D, 0x0D), (0x2028, 0x2029)])

_SPREAD_BLANKS = (0x85, 0xA0, 0x1680, 0x202F, 0x205F, 0x3000, 0xFEFF)
_ALL_BLANKS = BLANKS | Characters.of(
    [(0x1C, 0x1F), (0x2000, 0x200A), (0x2028, 0x2029), *((code, code) for code in _SPREAD_BLANKS)]
)
_LATIN = Characters.of([(0x00, 0x24F)])


def beside(kind: str) -> Characters:
    """What `\\D`, `\\W` and `\\S` (`kind`: d, w, s) stand for, as far as all dialects agree on it.

    Python counts other scripts' digits and letters among `\\d` and `\\w`, ECMAScript does not: only Latin letters
    are looked at.
    """
    if kind == "s":
        return ~_ALL_BLANKS
    ascii_only, belongs = (DIGITS, str.isdecimal) if kind == "d" else (WORD, str.isalnum)
    (low, high), *_ = _LATIN.intervals
    return _LATIN - ascii_only - Characters.of((code, code) for code in range(low, high + 1) if belongs(chr(code)))
