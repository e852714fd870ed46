"""A document's text to its chunks. Each finished chunk is counted as it is, and divided again where it is too long."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import NamedTuple, cast

from llmspell_protocol.rag.documents import Chunk
from llmspell_protocol.rag.reading import Chunking, Strategy
from llmspell_rag.chunking.atoms import Atoms, too_small
from llmspell_rag.chunking.borders import Borders, joined
from llmspell_rag.chunking.contract import Measures, Sizes, sizes_of
from llmspell_rag.chunking.counting import Counting
from llmspell_rag.chunking.filling import Filling
from llmspell_rag.documents.media_types import language_of
from llmspell_rag.documents.text import Section, Text

CHUNKER_VERSION = 1
"""Counts up where a text is cut otherwise than before, so that what is unchanged is cut again."""
_AT_ONCE = 16
"""Chunks that are counted in one question."""
_INDENTATION = " \t"
_LONGEST_PATH = 300
"""Characters of a section's path"""


def chunk(document: Text, wanted: Chunking, measures: Measures) -> Iterator[Chunk]:
    """The chunks of a document, in the order of its text.

    None has more tokens than `measures.limit` and `wanted.max_chunk_size`; every character but white space is in at
    least one of them.

    Raises:
        InvalidRequest: the sizes don't go together, or are too small for one character.
        Unsupported: a library of the strategy isn't installed.
    """
    sizes = sizes_of(wanted, measures.limit)
    strategy = strategy_for(document) if wanted.strategy == "auto" else wanted.strategy
    # Only the strategy that is needed, and with it its libraries.
    module = import_module(f"llmspell_rag.chunking.{strategy}")
    borders = cast(Borders, module.borders(document, measures))
    counting = Counting(measures)
    atoms = Atoms(document.text, joined(*borders.levels), sizes.most, counting)
    levels = [joined(atoms.at(place) for place in level) for level in borders.levels]
    filling = Filling(atoms, sizes, borders, levels)
    places = _Places(document)
    finishing = _Finishing(document.text, atoms.starts, joined(*borders.levels), sizes, counting)
    waiting: list[_Span] = []
    ordinal = 0
    for span in filling.spans():
        waiting.append(_Span(*(atoms.starts[at] for at in span)))
        if len(waiting) == _AT_ONCE:
            for passage in finishing.finished(waiting):
                yield places.chunk(ordinal, *passage)
                ordinal += 1
            waiting.clear()
    for passage in finishing.finished(waiting):
        yield places.chunk(ordinal, *passage)
        ordinal += 1


def strategy_for(document: Text) -> Strategy:
    """What `auto` is for a document: by what is known of its parts."""
    if document.records:
        return "paragraph"
    if language_of(document.media_type) is not None:
        return "code"
    return "markdown" if document.sections or document.blocks else "paragraph"


class _Span(NamedTuple):
    """As `filling.Span`, in characters."""

    begin: int
    start: int
    end: int


class _Finishing:
    """Holds chunks to what the model itself counts of them; atoms were only added up."""

    def __init__(
        self, text: str, atoms: Sequence[int], borders: Sequence[int], sizes: Sizes, counting: Counting
    ) -> None:
        self._text = text
        self._atoms = atoms
        self._borders = borders
        self._sizes = sizes
        self._counting = counting
        self._last_begin = -1

    def finished(self, spans: Sequence[_Span]) -> Iterator[tuple[_Span, int]]:
        """Each chunk that the spans make, without white space around, and its tokens."""
        counted: dict[_Span, int] = {}
        waiting = self._in_order(spans)
        while open_ := [span for span in waiting if span not in counted]:
            trimmed = [self._trimmed(span.begin, span.end) for span in open_]
            texts = [self._text[begin:end] for begin, end in trimmed]
            overlaps = [self._text[span.begin : span.start] for span in open_]
            counts = self._counting.of([*texts, *overlaps])
            replaced: dict[_Span, list[_Span]] = {}
            for span, count, overlap in zip(open_, counts, counts[len(open_) :], strict=False):
                if span.start > span.begin and overlap > self._sizes.overlap:
                    begin = self._middle(span.begin, span.start) if span.start - span.begin > 1 else span.start
                    replaced[span] = [_Span(begin, span.start, span.end)]
                elif count > self._sizes.most:
                    replaced[span] = self._divided(span)
                else:
                    counted[span] = count
            waiting = self._in_order([new for span in waiting for new in replaced.get(span, [span])])
        for span in waiting:
            self._last_begin = span.begin
            begin, end = self._trimmed(span.begin, span.end)
            if begin < end:
                yield _Span(begin, max(begin, span.start), end), counted[span]

    def _in_order(self, spans: Sequence[_Span]) -> list[_Span]:
        """The spans, without overlaps that would hold all of a piece of a chunk that was divided."""
        found: list[_Span] = []
        before = self._last_begin
        for span in spans:
            found.append(_Span(span.start, span.start, span.end) if span.begin <= before else span)
            before = found[-1].begin
        return found

    def _divided(self, span: _Span) -> list[_Span]:
        if span.end - span.begin == 1:
            raise too_small(self._sizes.most)
        middle = self._middle(span.begin, span.end)
        if middle <= span.start:
            return [_Span(middle, span.start, span.end)]
        return [_Span(span.begin, span.start, middle), _Span(middle, middle, span.end)]

    def _middle(self, begin: int, end: int) -> int:
        """A place within, at a border if one is near the middle, else between atoms, else between characters."""
        middle = (begin + end) // 2
        quarter = (end - begin) // 4
        for places, away in ((self._borders, quarter), (self._atoms, end - begin)):
            at = bisect_left(places, middle)
            near = [place for place in places[max(0, at - 1) : at + 1] if begin < place < end]
            best = min(near, key=lambda place: abs(place - middle), default=None)
            if best is not None and abs(best - middle) <= away:
                return best
        return middle

    def _trimmed(self, begin: int, end: int) -> tuple[int, int]:
        """Without white space around; the indentation of a first line stays."""
        text = self._text[begin:end]
        first = begin + len(text) - len(text.lstrip())
        last = begin + len(text.rstrip())
        line = first
        while line > begin and self._text[line - 1] in _INDENTATION:
            line -= 1
        is_line = line == 0 or self._text[line - 1] in "\r\n"
        return (line if is_line else first), last


class _Places:
    """Where in a document chunks are."""

    def __init__(self, document: Text) -> None:
        self._document = document
        self._line = 1
        self._counted = 0
        self._starts = [section.start for section in document.sections]
        self._above = list(_above(document.sections))

    def chunk(self, ordinal: int, span: _Span, tokens: int) -> Chunk:
        """The chunk of a span."""
        document, begin, end = self._document, span.begin, span.end
        return Chunk(
            ordinal=ordinal,
            text=document.text[begin:end],
            start=begin,
            end=end,
            tokens=tokens,
            page=max(1, bisect_right(document.pages, begin)) if document.pages else None,
            section=self._path(span.start),
            line=self._line_of(begin),
        )

    def _line_of(self, place: int) -> int:
        # From the last place on: chunks come in the order of the text, but for overlaps of what was divided.
        if place >= self._counted:
            self._line += self._document.text.count("\n", self._counted, place)
        else:
            self._line -= self._document.text.count("\n", place, self._counted)
        self._counted = place
        return self._line

    def _path(self, place: int) -> str | None:
        sections = self._document.sections
        at = bisect_right(self._starts, place) - 1
        titles: list[str] = []
        while at >= 0:
            if sections[at].end > place:
                titles.append(sections[at].title)
            at = self._above[at]
        return " > ".join(reversed(titles))[:_LONGEST_PATH] or None


def _above(sections: Sequence[Section]) -> Iterator[int]:
    """The section that each lies in; -1 where it lies in none."""
    open_: list[int] = []
    for at, section in enumerate(sections):
        while open_ and sections[open_[-1]].end <= section.start:
            open_.pop()
        yield open_[-1] if open_ else -1
        open_.append(at)
