"""The vectors that a search may find, where it may not find all: their numbers, and what was gathered of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmspell_rag.index.closeness import numpy

if TYPE_CHECKING:
    from llmspell_rag.index.closeness import Numbers, Vectors
    from llmspell_rag.index.exact import Matrix

MOST_GATHERED_BYTES = 16 << 20
"""The vectors of so few are kept with their numbers: the next search with the same filter compares them at once."""


class Allowed:
    """Some ascending numbers, of one state of a place; int64."""

    def __init__(self, numbers: Numbers) -> None:
        self.numbers = numbers
        self._rows: tuple[object, int, Numbers] | None = None
        self._gathered: tuple[int, Numbers, Vectors] | None = None

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def memory_bytes(self) -> int:
        """What it takes at most."""
        gathered = self._gathered
        return int(2 * self.numbers.nbytes) + (0 if gathered is None else int(gathered[2].nbytes))

    def has(self, numbers: Numbers) -> Numbers:
        """Of each number whether it is among them."""
        np = numpy()
        if not len(self.numbers):
            return np.zeros(len(numbers), bool)  # type: ignore[no-any-return]
        at = np.searchsorted(self.numbers, numbers)
        at[at == len(self.numbers)] = 0
        return self.numbers[at] == numbers  # type: ignore[no-any-return]

    def rows_of(self, matrix: Matrix, changes: int) -> Numbers:
        """Its rows in a matrix that has changed so many times."""
        known = self._rows
        if known is None or known[0] is not matrix or known[1] != changes:
            known = self._rows = (matrix, changes, matrix.rows_of(self.numbers))
        return known[2]

    def gathered(self, changes: int) -> tuple[Numbers, Vectors] | None:
        """What was kept when the graph had changed so many times."""
        known = self._gathered
        return known[1:] if known is not None and known[0] == changes else None

    def keep(self, changes: int, numbers: Numbers, vectors: Vectors) -> None:
        """Keeps vectors for the next search, where they are few."""
        if vectors.nbytes <= MOST_GATHERED_BYTES:
            self._gathered = (changes, numbers, vectors)
