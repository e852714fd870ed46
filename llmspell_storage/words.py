"""Words of a text as they are searched for: without capitals and accents, and pairs of characters where a script writes
no spaces between words. Knows no tables.

Both sides are treated alike, the text that is kept for the search and what is searched for, so that `strasse` finds
`Straße` and 京都 stands in 東京都.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence

_ACCENTS = re.compile(r"[\u0300-\u036f]")
_UNSPACED = re.compile(
    r"[\u1100-\u11ff\u2e80-\u2fdf\u3005-\u3007\u3031-\u303c\u3041-\u30ff\u3105-\u318f\u31a0-\u31bf\u31f0-\u31ff"
    r"\u3400-\u4dbf\u4e00-\u9fff\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff\U00020000-\U0003ffff]+"
)
"""Chinese, Japanese and Korean: Hangul has spaces, but particles stand at its words."""
_AROUND = 60
"""Characters on each side of what is found."""


def folded(text: str) -> str:
    """The text without capitals, accents and other forms of the same characters."""
    if text.isascii():
        return text.lower()
    plain = _ACCENTS.sub("", unicodedata.normalize("NFKD", text).casefold())
    # What casefold leaves may be decomposed again, and Hangul is composed to syllables.
    return unicodedata.normalize("NFC", _ACCENTS.sub("", unicodedata.normalize("NFKD", plain)))


def searchable(text: str) -> str:
    """The text as its words are kept: of unspaced characters each with the next one, and the last alone."""
    text = folded(text)
    return text if text.isascii() else _UNSPACED.sub(lambda found: f" {' '.join(_pairs(found[0]))} ", text)


def query(words: Sequence[str]) -> str:
    """What FTS5 is asked for: texts in which all words stand."""
    return " ".join(_phrase(word) for word in words)


def _phrase(word: str) -> str:
    """A word as a phrase. Where it ends in unspaced characters, those may go on in the text."""
    text = folded(word)
    parts: list[str] = []
    at, is_open = 0, False
    for found in _UNSPACED.finditer(text):
        parts += [text[at : found.start()], *_pairs(found[0])]
        at, is_open = found.end(), found.end() == len(text)
    parts.append(text[at:])
    # Behind a pair the last character is the beginning of what follows it in the text, if anything does.
    phrase = " ".join(filter(None, parts)).replace('"', '""')
    return f'"{phrase}"*' if is_open else f'"{phrase}"'


def _pairs(run: str) -> Iterator[str]:
    yield from (run[at : at + 2] for at in range(len(run)))


def excerpt(text: str, words: Sequence[str]) -> str:
    """The text around the first of the words that stands in it, each word between `[` and `]`."""
    # Positions of the folded text lead back to those of the text.
    pieces = [folded(one) for one in text]
    places = [at for at, piece in enumerate(pieces) for _ in piece]
    whole = "".join(pieces)
    marked = sorted({span for word in words for span in _found(whole, folded(word))})
    if not marked:
        return _cut(text, 0, 2 * _AROUND)
    first = places[marked[0][0]]
    begin = max(0, first - _AROUND)
    end = min(len(text), first + _AROUND)
    said, at = [], begin
    for start, stop in marked:
        left, right = places[start], places[stop - 1] + 1
        if left < at or right > end:
            continue
        said += [text[at:left], "[", text[left:right], "]"]
        at = right
    said.append(text[at:end])
    return f"{'…' if begin else ''}{''.join(said)}{'…' if end < len(text) else ''}"


def _found(whole: str, word: str) -> Iterator[tuple[int, int]]:
    """Where a word stands: as a word of its own, or anywhere among unspaced characters."""
    word = word.strip()
    parts = re.findall(r"[^\W_]+", word)
    if not parts:
        return
    pattern = r"[\W_]+".join(map(re.escape, parts))
    before = "" if _UNSPACED.match(parts[0][0]) else r"(?<![^\W_])"
    after = "" if _UNSPACED.match(parts[-1][-1]) else r"(?![^\W_])"
    for found in re.finditer(before + pattern + after, whole):
        yield found.span()


def _cut(text: str, begin: int, end: int) -> str:
    return f"{text[begin:end]}{'…' if end < len(text) else ''}"


_MOST_TERMS = 64
_SHORTEST_PART = 3
_PARTS = re.compile(r"[^\W_]+")


def any_of(text: str) -> Sequence[str]:
    """The words of a question as FTS5's phrases; with `OR` between them it finds texts in which any of them stands.

    What is written together (`ERR-4711`, `v1.2.3`) is wanted as it stands there, and its longer parts by themselves;
    of unspaced characters each pair. Nothing of the text is FTS5's syntax.
    """
    terms: dict[str, None] = {}
    for word in folded(text).split():
        at = 0
        for run in _UNSPACED.finditer(word):
            terms.update(_terms(word[at : run.start()]))
            pairs = [pair for pair in _pairs(run[0]) if len(pair) == 2]
            terms.update((f'"{pair}"', None) for pair in pairs)
            if not pairs:
                terms[f'"{run[0]}"*'] = None
            at = run.end()
        terms.update(_terms(word[at:]))
    return list(terms)[:_MOST_TERMS]


def _terms(word: str) -> Iterator[tuple[str, None]]:
    parts = _PARTS.findall(word)
    if parts:
        yield f'"{" ".join(parts)}"', None
    if len(parts) > 1:
        yield from ((f'"{part}"', None) for part in parts if len(part) >= _SHORTEST_PART)
