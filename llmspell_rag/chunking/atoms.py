"""The smallest parts that a text is put together from again, words for the most part, with their tokens.

Words are counted each by itself, with the white space before it, and added up: a good estimate for every span of the
text without another question. Letters of scripts that put no spaces between words are atoms by themselves.
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence

from llmspell_protocol.errors import InvalidRequest
from llmspell_rag.chunking.counting import Counting

_ALONE = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
"""Kana and Han"""
_FOLLOWS = (
    "\u0300-\u036f\u20d0-\u20ff\u200d\ufe0e\ufe0f\u3001-\u3003\u3009\u300b\u300d\u300f\u3011\uff01\uff0c\uff0e\uff1f"
)
"""What is never parted from the character before it: accents, joiners, closing marks of East Asian scripts."""
_ATOM = re.compile(rf"\s*(?:[{_ALONE}]|[^\s{_ALONE}]{{1,48}})[{_FOLLOWS}]*")
_COUNTED_AT_ONCE = 50_000


class Atoms:
    """The atoms of a text: `starts[i]` is where the i-th begins, which is where the one before ends.

    One begins at each of `places`, where there is anything but white space before the next of them.

    Raises:
        InvalidRequest: a single character has more tokens than `most`.
    """

    def __init__(self, text: str, places: Sequence[int], most: int, counting: Counting) -> None:
        self._text = text
        self._counting = counting
        self.starts = array("q")
        self._sums = array("q", [0])
        """How many tokens the atoms before each one have, all together."""
        waiting = array("q")
        for start in _starts(text, places):
            waiting.append(start)
            if len(waiting) > _COUNTED_AT_ONCE:
                self._add(waiting, most)
                waiting = waiting[-1:]
        waiting.append(len(text))
        self._add(waiting, most)
        self.starts.append(len(text))

    def __len__(self) -> int:
        return len(self.starts) - 1

    def tokens(self, first: int, end: int) -> int:
        """The tokens of the atoms from one up to another, which is not among them."""
        return self._sums[end] - self._sums[first]

    def end_within(self, first: int, tokens: int) -> int:
        """The end of the most atoms from one on that have at most so many tokens together."""
        return bisect_right(self._sums, self._sums[first] + tokens) - 1

    def first_within(self, end: int, tokens: int) -> int:
        """The beginning of the most atoms up to one that have at most so many tokens together."""
        return bisect_left(self._sums, self._sums[end] - tokens)

    def at(self, place: int) -> int:
        """The atom that begins at an offset, or the next one."""
        return min(bisect_left(self.starts, place), len(self))

    def _add(self, starts: Sequence[int], most: int) -> None:
        """Takes the atoms between these offsets over, divided where one is too large by itself."""
        spans = [(starts[at], starts[at + 1]) for at in range(len(starts) - 1)]
        counts = self._counting.of([self._text[begin:end] for begin, end in spans])
        for (begin, end), count in zip(spans, counts, strict=True):
            if count <= most:
                self._append(begin, count)
            else:
                for inner, fitting in self._divided(begin, end, most):
                    self._append(inner, fitting)

    def _append(self, start: int, count: int) -> None:
        self.starts.append(start)
        self._sums.append(self._sums[-1] + count)

    def _divided(self, begin: int, end: int, most: int) -> Iterator[tuple[int, int]]:
        if end - begin == 1:
            raise too_small(most)
        middle = (begin + end) // 2
        halves = ((begin, middle), (middle, end))
        counts = self._counting.of([self._text[a:b] for a, b in halves])
        for (a, b), count in zip(halves, counts, strict=True):
            if count <= most:
                yield a, count
            else:
                yield from self._divided(a, b, most)


def too_small(most: int) -> InvalidRequest:
    """The error where not even one character fits."""
    return InvalidRequest(
        f"a chunk of at most {most} tokens can't hold every character of this text",
        hint="allow larger chunks (chunk_size, max_chunk_size), or take a model with a longer context",
        details={"limit": most},
    )


def _starts(text: str, places: Sequence[int]) -> Iterator[int]:
    """Where atoms begin; white space at the end of a segment belongs to the atom before."""
    is_first = True
    begin = 0
    for end in [*(place for place in places if 0 < place < len(text)), len(text)]:
        # Without the end's white space, through which the pattern would be tried from each of its characters.
        last = begin + len(text[begin:end].rstrip())
        for match in _ATOM.finditer(text, begin, last):
            yield 0 if is_first else match.start()
            is_first = False
        begin = end
    if is_first:
        yield 0
