"""Which atoms make a chunk: parts between borders are put together until a chunk is full. Knows no text.

What does not fit is divided at the strongest borders within it; where there are none, between atoms. Every step takes
at least one atom on, whatever the sizes are.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from llmspell_rag.chunking.atoms import Atoms
from llmspell_rag.chunking.borders import Borders
from llmspell_rag.chunking.contract import Sizes


class Span(NamedTuple):
    """A chunk from `begin` to `end`; what lies before `start` is in the chunk before as well."""

    begin: int
    start: int
    end: int


class _Part(NamedTuple):
    begin: int
    end: int
    level: int
    """of the borders by which it may be divided next"""
    begins_chunk: bool
    is_loose: bool = False
    """whether it may be divided between any atoms"""


class Filling:
    """Fills chunks from the atoms of one document.

    `levels` are the atoms at which parts begin for each level of `borders`.
    """

    def __init__(self, atoms: Atoms, sizes: Sizes, borders: Borders, levels: Sequence[Sequence[int]]) -> None:
        self._atoms = atoms
        self._sizes = sizes
        self._levels = levels
        self._always = borders.always
        self._together = borders.together
        self._whole = borders.whole
        self._borders = sorted({place for level in levels for place in level})
        self._begin = self._start = self._end = 0
        self._parts: list[_Part] = []

    def spans(self) -> Iterator[Span]:
        """The chunks, in the order of the text; a last one that is too short is part of the one before, if it fits."""
        before: Span | None = None
        now: Span | None = None
        for span in self._filled():
            if before is not None:
                yield before
            before, now = now, span
        if before is not None and now is not None:
            tokens = self._atoms.tokens
            is_short = tokens(now.begin, now.end) < self._sizes.least
            if is_short and tokens(before.begin, now.end) <= self._sizes.most:
                now = Span(before.begin, before.start, now.end)
            else:
                yield before
        if now is not None:
            yield now

    def _filled(self) -> Iterator[Span]:
        sizes, tokens = self._sizes, self._atoms.tokens
        self._parts = [_Part(0, len(self._atoms), 0, False, not self._whole and not self._levels)]
        while self._parts:
            part = self._parts.pop()
            if self._is_divided(part):
                continue
            now = tokens(self._begin, self._end)
            larger = now + tokens(part.begin, part.end)
            if self._end == self._start:
                self._take_first(part)
            elif part.begins_chunk and now >= sizes.least:
                yield self._closed(0)
                self._take_first(part)
            elif larger <= sizes.size:
                self._end = part.end
            elif now >= sizes.least:
                yield self._closed(sizes.overlap)
                self._take_first(part)
            elif larger <= sizes.most:
                self._end = part.end
            elif not self._takes_some(part):
                yield self._closed(sizes.overlap)
                self._take_first(part)
        if self._end > self._start:
            yield Span(self._begin, self._start, self._end)

    def _is_divided(self, part: _Part) -> bool:
        """Whether there were borders to look at, so that there are smaller parts now."""
        if part.level == len(self._levels):
            return False
        always = part.level < self._always
        if not always and self._atoms.tokens(part.begin, part.end) <= self._sizes.size:
            return False
        self._divide(part, always)
        return True

    def _divide(self, part: _Part, begins_chunk: bool) -> None:
        level = self._levels[part.level]
        inner = level[bisect_right(level, part.begin) : bisect_left(level, part.end)]
        is_kept = 0 < part.level <= self._together and self._atoms.tokens(part.begin, part.end) > self._sizes.size
        for begin, end in reversed(list(pairwise([part.begin, *inner, part.end]))):
            apart = part.begins_chunk or is_kept if begin == part.begin else begins_chunk
            self._parts.append(_Part(begin, end, part.level + 1, apart))

    def _takes_some(self, part: _Part) -> bool:
        """Puts a piece of a part into a chunk that is too short and can't take all of it; False: nothing fits."""
        if part.level < len(self._levels):
            self._divide(part, False)
            return True
        end = self._atoms.end_within(self._begin, self._sizes.size)
        if end <= part.begin:
            end = self._atoms.end_within(self._begin, self._sizes.most)
        if end <= part.begin:
            return False
        self._end = end
        self._parts.append(_Part(end, part.end, part.level, False, True))
        return True

    def _take_first(self, part: _Part) -> None:
        """Begins a chunk with a part, or with as much of it as fits; what it has of the one before gives way."""
        sizes, atoms = self._sizes, self._atoms
        size = atoms.tokens(part.begin, part.end)
        end, allowed = part.end, sizes.size
        if sizes.size < size <= sizes.most and self._whole and not part.is_loose:
            allowed = sizes.most
        elif size > sizes.size or part.is_loose:
            end = min(part.end, max(part.begin + 1, atoms.end_within(self._begin, sizes.size)))
            if atoms.tokens(part.begin, end) > sizes.size:
                allowed = sizes.most
            if end < part.end:
                self._parts.append(_Part(end, part.end, part.level, False, True))
        self._begin = min(max(self._begin, atoms.first_within(end, allowed)), part.begin)
        self._start, self._end = part.begin, end

    def _closed(self, overlap: int) -> Span:
        """The chunk that is full; the next one begins with at most so many tokens of it, at a border where one is."""
        span = Span(self._begin, self._start, self._end)
        begin = self._end
        if overlap:
            begin = max(self._begin + 1, self._atoms.first_within(self._end, overlap))
            at = bisect_left(self._borders, begin)
            if at < len(self._borders) and self._borders[at] < self._end:
                begin = self._borders[at]
        self._begin, self._start = begin, self._end
        return span
