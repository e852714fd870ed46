"""A graph of vectors (HNSW, by usearch) that finds the nearest without looking at all. Knows no files but by bytes.

Searches may run beside each other; no change may run beside anything else. A mapped graph can't be changed.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from llmspell_protocol.errors import OutOfMemory
from llmspell_protocol.rag.settings import IndexSettings
from llmspell_rag.index.closeness import numpy
from llmspell_rag.libraries import library

if TYPE_CHECKING:
    from pathlib import Path

    from llmspell_rag.index.closeness import Numbers, Vectors

_BREADTHS = ((100_000, 100), (200_000, 150), (300_000, 200), (500_000, 400))
"""Up to so many vectors, how broadly is searched where the settings don't say, so that 98 of 100 are found or more."""
_BROADEST = 500
"""Of a million clustered vectors it finds 98 of the 100 nearest, and a broader search no more."""
_SCALAR_BYTES = {"f32": 4, "f16": 2, "i8": 1}


def breadth_for(count: int, settings: IndexSettings) -> int:
    """How many candidates a search of so many vectors keeps."""
    if settings.ef_search is not None:
        return settings.ef_search
    return next((breadth for most, breadth in _BREADTHS if count <= most), _BROADEST)


def vector_bytes(dimension: int, settings: IndexSettings) -> int:
    """About what a vector of a graph takes of the memory, with its links: 2·m of 4 bytes below, few above, its key."""
    return dimension * _SCALAR_BYTES[settings.quantization] + 10 * settings.m + 40


def _kind_of(settings: IndexSettings) -> str:
    """usearch's name of the metric."""
    if settings.metric == "euclidean":
        return "L2sq"
    # Prepared vectors have length 1: their inner product is the cosine, and a third quicker. In 16 bits a number it is
    # the same to four digits; in eight it isn't.
    return "Cos" if settings.metric == "cosine" and settings.quantization == "i8" else "IP"


class Graph:
    """Prepared vectors by number."""

    def __init__(self, dimension: int, settings: IndexSettings) -> None:
        compiled = library("usearch.compiled", "usearch", "an index of many vectors")
        kinds = compiled.MetricKind
        self.dimension = dimension
        self.is_mapped = False
        self._settings = settings
        self._threads = settings.num_threads or os.cpu_count() or 1
        self._is_euclidean = settings.metric == "euclidean"
        self._f32 = compiled.ScalarKind.F32
        self.content = memoryview(b"")
        """of a mapped one, the file's"""
        self._index = compiled.Index(
            ndim=dimension,
            dtype=getattr(compiled.ScalarKind, settings.quantization.upper()),
            connectivity=settings.m,
            expansion_add=settings.ef_construction,
            expansion_search=breadth_for(0, settings),
            metric_kind=getattr(kinds, _kind_of(settings)),
        )

    def __len__(self) -> int:
        return len(self._index)

    @property
    def memory_bytes(self) -> int:
        """What it takes of the memory; of a mapped one the file, which the system may take back."""
        return max(int(self._index.memory_usage), len(self) * vector_bytes(self.dimension, self._settings))

    @property
    def numbers(self) -> Numbers:
        """All numbers, ascending; int64."""
        np = numpy()
        found: Numbers = np.sort(self._index.get_keys_in_slice(0, len(self)).astype(np.int64))
        return found

    def add(self, numbers: Numbers, vectors: Vectors, go_on: Callable[[], bool] = lambda: True) -> int:
        """Adds prepared vectors in batches, as long as `go_on`; returns how many.

        Raises:
            OutOfMemory: there is no more.
        """
        np = numpy()
        keys = numbers.astype(np.uint64)
        # A batch is what is added before `go_on` is asked again: of many vectors several of the settings'.
        batch = self._settings.parallel_batch_size * self._threads
        for first in range(0, len(keys), batch):
            if not go_on():
                return first
            part = slice(first, first + batch)
            try:
                self._index.add_many(keys[part], np.ascontiguousarray(vectors[part]), threads=self._threads)
            except (MemoryError, RuntimeError, ValueError) as error:
                if "memory" not in str(error).lower() and not isinstance(error, MemoryError):
                    raise
                raise OutOfMemory(f"an index of {len(self)} vectors has no room for more") from None
        self._index.expansion_search = breadth_for(len(self), self._settings)
        return len(keys)

    def remove(self, numbers: Numbers) -> int:
        """Takes vectors out; returns how many were there."""
        return int(self._index.remove_many(numbers.tolist(), False, 1))

    def nearest(self, wanted: Vectors, count: int) -> tuple[Numbers, Vectors]:
        """The `count` nearest, as well as the breadth finds them: numbers and closeness, the nearest first."""
        np = numpy()
        keys, distances, counts, _, _ = self._index.search_many(wanted[None, :], count, False, 1)
        found = int(counts[0])
        close = -distances[0, :found] if self._is_euclidean else 1.0 - distances[0, :found]
        return keys[0, :found].astype(np.int64), close

    def vectors_of(self, numbers: Numbers) -> tuple[Numbers, Vectors]:
        """Vectors of those numbers that are there, as exactly as they are kept; float32 [number, dimension]."""
        np = numpy()
        keys = numbers.astype(np.uint64)
        here = self._index.contains_many(keys)
        keys = keys[here]
        if not len(keys):
            return keys.astype(np.int64), np.empty((0, self.dimension), np.float32)
        found = np.asarray(self._index.get_many(keys, self._f32), np.float32).reshape(len(keys), self.dimension)
        return keys.astype(np.int64), found

    def save(self, path: Path) -> None:
        """Writes it into a file.

        Raises:
            OSError: it can't be written.
        """
        try:
            self._index.save_index_to_path(str(path))
        except (RuntimeError, ValueError) as error:
            # usearch says that a write failed, but not why; a byte more tells.
            with path.open("ab") as file:
                file.write(b"\0")
                file.flush()
                os.fsync(file.fileno())
            raise OSError(f"{path}: {error}") from None

    def read(self, content: memoryview) -> None:
        """Becomes what a file holds, in memory.

        Raises:
            ValueError: it is no such graph.
        """
        self._take(self._index.load_index_from_buffer, content)

    def map(self, content: memoryview) -> None:
        """Becomes what a mapped file holds, which stays open as long as the graph is there. Raises as `read`."""
        self._take(self._index.view_index_from_buffer, content)
        self.content = content
        self.is_mapped = True

    def _take(self, way: Callable[[memoryview], None], content: memoryview) -> None:
        try:
            way(content)
        except (RuntimeError, ValueError) as error:
            raise ValueError(str(error)) from None
        if self._index.ndim != self.dimension:
            raise ValueError(f"it has {self._index.ndim} dimensions, not {self.dimension}")
        # Both are the file's now.
        self._index.expansion_add = self._settings.ef_construction
        self._index.expansion_search = breadth_for(len(self), self._settings)
