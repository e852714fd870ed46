"""Vectors that are compared one by one: a matrix that grows at its end, by ascending numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmspell_protocol.rag.settings import Metric
from llmspell_rag.index.closeness import closeness, nearest, numpy

if TYPE_CHECKING:
    from llmspell_rag.index.closeness import Numbers, Vectors

_SPARE = 65_536
"""Rows that a growing matrix has to spare at most."""
_FEW = 8
"""Where fewer than one in so many rows are wanted, they are gathered; else all are compared, and others left out."""


class Matrix:
    """Prepared vectors, float32 [number, dimension], and the number of each."""

    def __init__(self, dimension: int, metric: Metric) -> None:
        np = numpy()
        self.dimension = dimension
        self._metric: Metric = metric
        self._numbers: Numbers = np.empty(0, np.int64)
        self._vectors: Vectors = np.empty((0, dimension), np.float32)
        self._first = 0
        self._end = 0

    def __len__(self) -> int:
        return self._end - self._first

    @property
    def numbers(self) -> Numbers:
        """The numbers, ascending; int64."""
        return self._numbers[self._first : self._end]

    @property
    def vectors(self) -> Vectors:
        """The vectors, in the order of `numbers`."""
        return self._vectors[self._first : self._end]

    @property
    def memory_bytes(self) -> int:
        """What it takes of the memory."""
        return int(self._vectors.nbytes + self._numbers.nbytes)

    def append(self, numbers: Numbers, vectors: Vectors) -> None:
        """Adds prepared vectors; their numbers are above all that are there, and ascending."""
        if self._end + len(numbers) > len(self._numbers):
            needed = len(self) + len(numbers)
            self._move(min(2 * needed, needed + _SPARE))
        end = self._end + len(numbers)
        self._numbers[self._end : end] = numbers
        self._vectors[self._end : end] = vectors
        self._end = end

    def remove(self, numbers: Numbers) -> None:
        """Takes vectors out, those that are there."""
        np = numpy()
        kept = np.isin(self.numbers, numbers, invert=True)
        if not kept.all():
            self._numbers, self._vectors = self.numbers[kept], self.vectors[kept]
            self._first, self._end = 0, len(self._numbers)

    def drop_first(self, count: int) -> None:
        """Takes the lowest numbers out."""
        self._first += count
        if self._first > len(self):
            self._move(len(self))

    def _move(self, room: int) -> None:
        """Into arrays of so many rows, from their beginning on."""
        np = numpy()
        numbers, vectors, used = self.numbers, self.vectors, len(self)
        self._numbers = np.empty(room, np.int64)
        self._vectors = np.empty((room, self.dimension), np.float32)
        self._numbers[:used], self._vectors[:used] = numbers, vectors
        self._first, self._end = 0, used

    def rows_of(self, numbers: Numbers) -> Numbers:
        """The rows of those of ascending numbers that are there."""
        np = numpy()
        mine = self.numbers
        rows = np.searchsorted(mine, numbers)
        rows = rows[rows < len(mine)]
        found: Numbers = rows[np.isin(mine[rows], numbers, assume_unique=True)]
        return np.unique(found)  # type: ignore[no-any-return]

    def nearest(self, wanted: Vectors, k: int, rows: Numbers | None = None) -> tuple[Numbers, Vectors]:
        """The `k` nearest of all, or of some rows: their numbers and how close they are, the nearest first."""
        numbers, vectors = self.numbers, self.vectors
        if not len(numbers):
            return numbers, vectors[:, 0]
        if rows is None:
            return nearest(closeness(vectors, wanted, self._metric), numbers, k)
        if len(rows) * _FEW < len(numbers):
            return nearest(closeness(vectors[rows], wanted, self._metric), numbers[rows], k)
        return nearest(closeness(vectors, wanted, self._metric)[rows], numbers[rows], k)
