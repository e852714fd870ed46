"""Chunks by meaning: where what sentences say changes most, a chunk ends.

Each sentence is embedded together with its neighbours; where two that follow one another differ more than nine in ten
of such pairs do, there is a border. That embeds the whole document once more than other strategies.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from llmspell_rag.chunking.borders import Borders
from llmspell_rag.chunking.contract import Measures
from llmspell_rag.chunking.counting import Counting
from llmspell_rag.chunking.sentences import sentences
from llmspell_rag.documents.text import Text

_QUANTILE = 0.9
_BATCH = 32
"""Texts that are embedded in one call."""


def borders(document: Text, measures: Measures) -> Borders:
    """Where the subject changes, then where sentences begin."""
    text = document.text
    places = sentences(text, document.metadata.get("language"))
    spans = [(begin, begin + len(text[begin:end].rstrip())) for begin, end in pairwise([*places, len(text)])]
    distances = _distances(text, spans, measures)
    known = sorted(one for one in distances if one is not None)
    if not known:
        return Borders(levels=[places])
    limit = known[min(len(known) - 1, math.floor(_QUANTILE * len(known)))]
    changes = [
        begin
        for (begin, _), distance in zip(spans[1:], distances, strict=True)
        if distance is not None and distance >= limit and distance > 0
    ]
    return Borders(levels=[changes, places], always=1)


def _distances(text: str, spans: Sequence[tuple[int, int]], measures: Measures) -> list[float | None]:
    """How far each sentence is from the one before (1 - cosine); None where one of the two is over the limit."""
    counting, limit = Counting(measures), measures.limit
    tokens = counting.of([text[begin:end] for begin, end in spans])
    found: list[float | None] = []
    before: Sequence[float] | None = None
    for first in range(0, len(spans), _BATCH):
        batch = [at for at in range(first, min(first + _BATCH, len(spans))) if tokens[at] <= limit]
        windows = [_window(at, tokens, limit) for at in batch]
        wanted = [text[spans[begin][0] : spans[end][1]] for begin, end in windows]
        # Counts were only added up.
        counts = counting.of(wanted)
        for at, (place, count) in enumerate(zip(batch, counts, strict=True)):
            if count > limit:
                wanted[at] = text[spans[place][0] : spans[place][1]]
        vectors = dict(zip(batch, measures.embed(wanted), strict=True)) if batch else {}
        for at in range(first, min(first + _BATCH, len(spans))):
            vector = vectors.get(at)
            if at:
                found.append(None if before is None or vector is None else 1 - sum(map(float.__mul__, before, vector)))
            before = vector
    return found


def _window(at: int, tokens: Sequence[int], limit: int) -> tuple[int, int]:
    """The first and the last sentence that are embedded for one: its neighbours with it, as far as the limit allows."""
    total = tokens[at]
    first = last = at
    if at and total + tokens[at - 1] <= limit:
        first, total = at - 1, total + tokens[at - 1]
    if at + 1 < len(tokens) and total + tokens[at + 1] <= limit:
        last = at + 1
    return first, last
