"""Vectors that lie as embeddings do: topics of very different sizes, themes inside of them, and what is each one's own.

Made from a seed, in blocks, so that a million of them need no more memory than a block.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]

BLOCK = 10_000
_TOPICS = 200
_THEMES = 20
"""of each topic"""
_THEME = 0.8
_OWN = 0.9
"""How far a theme lies from its topic, and a vector from its theme, in lengths of the topic's vector: two vectors of a
theme have a cosine of about 0.7, two of a topic of about 0.4, and all others of about 0."""


def clustered(number: int, dimension: int, seed: int = 0, stream: int = 0) -> Iterator[Vectors]:
    """So many vectors of length 1 in blocks of `BLOCK`, float32 [rows, dimension]; the same for the same arguments.

    Streams of a seed have the same topics, and vectors of their own.
    """
    # An extra, and slow to import.
    import numpy as np

    space = _Space(dimension, seed)
    for first in range(0, number, BLOCK):
        yield space.some(min(BLOCK, number - first), np.random.default_rng((seed, 1, stream, first)))


def questions(number: int, dimension: int, seed: int = 0) -> Vectors:
    """Vectors of the same topics as `clustered` with this seed, none of which is among them; float32 [number, dim]."""
    # As above.
    import numpy as np

    return _Space(dimension, seed).some(number, np.random.default_rng((seed, 2)))


class _Space:
    """The topics of a seed and their themes."""

    def __init__(self, dimension: int, seed: int) -> None:
        import numpy as np

        random = np.random.default_rng((seed, 0))
        # Directions of an embedding differ in how much they say: the variance falls as a power of their rank.
        self._scale = ((np.arange(dimension) + 1.0) ** -0.25).astype(np.float32)
        topics = self._directions(random, _TOPICS)
        themes = self._directions(random, _TOPICS * _THEMES)
        self._centers = np.repeat(topics, _THEMES, axis=0) + _THEME * themes
        weights = 1.0 / (1.0 + np.arange(_TOPICS))  # Zipf: few topics have most of the vectors.
        self._weights = np.repeat(weights / weights.sum() / _THEMES, _THEMES)

    def some(self, number: int, random: np.random.Generator) -> Vectors:
        import numpy as np

        chosen = random.choice(len(self._centers), number, p=self._weights)
        vectors = self._centers[chosen] + _OWN * self._directions(random, number)
        return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)

    def _directions(self, random: np.random.Generator, number: int) -> Vectors:
        import numpy as np

        found = random.standard_normal((number, len(self._scale)), dtype=np.float32) * self._scale
        return np.asarray(found / np.linalg.norm(found, axis=1, keepdims=True), np.float32)
