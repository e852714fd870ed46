"""Counts of tokens, each text asked for once: a document has few different words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from llmspell_rag.chunking.contract import Measures

_BATCH_TEXTS = 4096
_BATCH_CHARACTERS = 1 << 20
_MOST_KNOWN = 300_000
_LONGEST_KNOWN = 64
"""Characters of a text whose count is kept: longer ones hardly come again."""


class Counting:
    """Asks in batches, and keeps what it was told of short texts."""

    def __init__(self, measures: Measures) -> None:
        self._measures = measures
        self._known: dict[str, int] = {}

    def of(self, texts: Sequence[str]) -> list[int]:
        """The tokens of each text."""
        if len(self._known) > _MOST_KNOWN:
            self._known.clear()
        now: dict[str, int] = {}
        for batch in _batches(dict.fromkeys(text for text in texts if text not in self._known)):
            now.update(zip(batch, self._measures.count(batch), strict=True))
        found = [self._known[text] if text in self._known else now[text] for text in texts]
        self._known.update((text, count) for text, count in now.items() if len(text) <= _LONGEST_KNOWN)
        return found


def _batches(texts: Iterable[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    characters = 0
    for text in texts:
        if batch and (len(batch) == _BATCH_TEXTS or characters + len(text) > _BATCH_CHARACTERS):
            yield batch
            batch, characters = [], 0
        batch.append(text)
        characters += len(text)
    if batch:
        yield batch
