"""Tokenizers of tests, with rules that a test can reason about, and vectors that follow words."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence

from llmspell_rag.chunking.contract import Measures


def words(text: str) -> int:
    """A token for every four characters of a word, and one for every mark: as word pieces are."""
    return sum(math.ceil(len(word) / 4) for word in re.findall(r"\w+|[^\w\s]", text))


def blanks(text: str) -> int:
    """A token for what stands between blanks."""
    return len(text.split())


def characters(text: str) -> int:
    """A token a character, white space included."""
    return len(text)


def byte_pairs(text: str) -> int:
    """A token for every three bytes: what is counted together has fewer than what is counted apart."""
    return math.ceil(len(text.encode()) / 3)


def growing(text: str) -> int:
    """More for a whole than for its parts, which no real tokenizer does much."""
    count = words(text)
    return count + count // 10


class Counted(Measures):
    """Measures by one of the functions above; keeps what it was asked."""

    def __init__(self, rule: Callable[[str], int], limit: int) -> None:
        self._rule = rule
        self._limit = limit
        self.asked: list[Sequence[str]] = []
        self.embedded: list[Sequence[str]] = []

    @property
    def limit(self) -> int:
        return self._limit

    def count(self, texts: Sequence[str]) -> Sequence[int]:
        self.asked.append(texts)
        return [self._rule(text) for text in texts]

    def embed(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        """Vectors of letters: texts of the same words are near each other."""
        self.embedded.append(texts)
        assert all(self._rule(text) <= self._limit for text in texts)
        return [_letters(text) for text in texts]


def _letters(text: str) -> list[float]:
    found = [0.0] * 26
    for letter in text.lower():
        if "a" <= letter <= "z":
            found[ord(letter) - ord("a")] += 1.0
    length = math.sqrt(sum(one * one for one in found)) or 1.0
    return [one / length for one in found]
