"""The vectors of one place: a graph beneath, where there are many, and above it a matrix of what isn't in it yet.

A search looks at both, so that what was written a moment ago is found, whatever is still to be done for the graph.
Below the settings' `exact_limit` there is no graph. Reads may run beside each other and beside `merge`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from llmspell_protocol.rag.settings import IndexSettings
from llmspell_rag.index.closeness import closeness, nearest, numpy, prepared, prepared_one
from llmspell_rag.index.exact import Matrix
from llmspell_rag.index.hnsw import Graph
from llmspell_rag.index.lock import ReadersOrWriter

if TYPE_CHECKING:
    from llmspell_rag.index.allowed import Allowed
    from llmspell_rag.index.closeness import Numbers, Vectors

SLICE = 1024
"""So many vectors go into the graph at a time: writes and the wish to end are heard in between."""
_READ_IN = 2_000
"""So many vectors beside a mapped graph, or removed from it, are reason to read it into memory."""
_WORN = 3
"""A graph of which one in so many vectors was removed, and whose places aren't used again, is made anew."""
_FILTER = 32
"""Up to sqrt(32 · k · N) allowed vectors of N are compared one by one: there a graph that has to look past those that
aren't allowed costs as much (a candidate of the graph 3 µs, a comparison of 384 numbers in a row 0.13 µs)."""

Fetch = Callable[["Numbers"], tuple["Numbers", "Vectors"]]
"""The vectors of numbers as they were written, of those that are still there."""


class Nearest(NamedTuple):
    """The nearest first. `is_exact`: every vector that was allowed has been compared."""

    numbers: Numbers
    close: Vectors
    is_exact: bool


class Layers:
    """Vectors by number. Numbers that are added are above all that were."""

    def __init__(self, dimension: int, settings: IndexSettings) -> None:
        self.dimension = dimension
        self._settings = settings
        self._lock = ReadersOrWriter()
        self._matrix = Matrix(dimension, settings.metric)
        self._graph: Graph | None = None
        self._gone: Numbers = numpy().empty(0, numpy().int64)
        self._changes = 0
        """of what is where; the same vectors may be somewhere else after one"""

    def __len__(self) -> int:
        return len(self._matrix) + (0 if self._graph is None else len(self._graph) - len(self._gone))

    @property
    def graph(self) -> Graph | None:
        """The graph; None: there are too few."""
        return self._graph

    @property
    def is_graph_whole(self) -> bool:
        """Whether the graph has all vectors, and no others."""
        return self._graph is not None and not len(self._matrix) and not len(self._gone)

    @property
    def memory_bytes(self) -> int:
        """What it takes of the memory."""
        return self._matrix.memory_bytes + (0 if self._graph is None else self._graph.memory_bytes)

    @property
    def numbers(self) -> Numbers:
        """All numbers, ascending."""
        np = numpy()
        with self._lock.reading():
            if self._graph is None:
                return self._matrix.numbers.copy()
            below = np.setdiff1d(self._graph.numbers, self._gone, assume_unique=True)
            found: Numbers = np.union1d(below, self._matrix.numbers)
        return found

    def take(self, graph: Graph) -> None:
        """Has a graph beneath from here on; there was none."""
        with self._lock.writing():
            self._graph = graph
            self._changes += 1

    def append(self, numbers: Numbers, vectors: Vectors) -> None:
        """Adds vectors as they were written."""
        ready = prepared(vectors, self._settings.metric)
        with self._lock.writing():
            self._matrix.append(numbers, ready)
            self._changes += 1

    def remove(self, numbers: Numbers) -> None:
        """Takes vectors out; those that aren't there are passed over."""
        np = numpy()
        with self._lock.writing():
            self._matrix.remove(numbers)
            if self._graph is not None:
                self._take_out(np.asarray(numbers, np.int64))
            self._changes += 1

    def _take_out(self, numbers: Numbers) -> None:
        np = numpy()
        assert self._graph is not None
        if self._graph.is_mapped or not self._settings.allow_replace_deleted:
            here, _ = self._graph.vectors_of(numbers)
            self._gone = np.union1d(self._gone, here)
        else:
            self._graph.remove(numbers)
        if len(self._graph) == len(self._gone):
            self._graph = None
            self._gone = np.empty(0, np.int64)

    def nearest(self, wanted: Vectors, k: int, allowed: Allowed | None = None, fetch: Fetch | None = None) -> Nearest:
        """The `k` nearest to a vector, of all or of those that are allowed.

        `fetch` is asked where the graph has the vectors in eight bits a number: the best of them are compared again.
        """
        np = numpy()
        ready = prepared_one(wanted, self._settings.metric)
        with self._lock.reading():
            rows = None if allowed is None else allowed.rows_of(self._matrix, self._changes)
            above = self._matrix.nearest(ready, k, rows)
            if self._graph is None:
                return Nearest(*above, True)
            is_coarse = self._settings.quantization == "i8" and fetch is not None
            below = self._of_graph(self._graph, ready, 4 * k + 16 if is_coarse else k, allowed)
        if is_coarse and fetch is not None:
            numbers, vectors = fetch(np.sort(below.numbers))
            again = closeness(prepared(vectors, self._settings.metric), ready, self._settings.metric)
            below = Nearest(numbers, again, False)
        elif not len(above[0]):
            return below
        numbers, close = np.concatenate([above[0], below.numbers]), np.concatenate([above[1], below.close])
        return Nearest(*nearest(close, numbers, k), below.is_exact)

    def _of_graph(self, graph: Graph, ready: Vectors, k: int, allowed: Allowed | None) -> Nearest:
        if allowed is not None and not len(allowed):
            return Nearest(*self._one_by_one(graph, ready, k, allowed), True)
        size = len(graph)
        there = size - len(self._gone) if allowed is None else len(allowed)
        few = math.isqrt(_FILTER * k * size)
        if allowed is not None and there <= few:
            return Nearest(*self._one_by_one(graph, ready, k, allowed), True)
        count = k if there == size else k + math.ceil(1.25 * k * (size - there) / max(1, there)) + 8
        while True:
            numbers, close = graph.nearest(ready, min(count, size))
            kept = self._kept(numbers, allowed)
            if kept is not None:
                numbers, close = numbers[kept], close[kept]
            if len(numbers) >= k or count >= size:
                return Nearest(numbers[:k], close[:k], count >= size)
            count *= 4
            # Those that are allowed lie far from what is looked for.
            if allowed is not None and count > there:
                return Nearest(*self._one_by_one(graph, ready, k, allowed), True)

    def _kept(self, numbers: Numbers, allowed: Allowed | None) -> Numbers | None:
        np = numpy()
        kept = None if allowed is None else allowed.has(numbers)
        if len(self._gone):
            there = np.isin(numbers, self._gone, invert=True)
            kept = there if kept is None else kept & there
        return kept

    def _one_by_one(self, graph: Graph, ready: Vectors, k: int, allowed: Allowed) -> tuple[Numbers, Vectors]:
        np = numpy()
        found = allowed.gathered(self._changes)
        if found is None:
            numbers, vectors = graph.vectors_of(allowed.numbers)
            if len(self._gone):
                there = np.isin(numbers, self._gone, invert=True)
                numbers, vectors = numbers[there], vectors[there]
            found = numbers, prepared(vectors, self._settings.metric)
            allowed.keep(self._changes, *found)
        numbers, vectors = found
        return nearest(closeness(vectors, ready, self._settings.metric), numbers, k)

    @property
    def wants_merge(self) -> bool:
        """Whether there is work for `merge`."""
        above, graph = len(self._matrix), self._graph
        if graph is None:
            return above >= self._settings.exact_limit
        if graph.is_mapped:
            return above + len(self._gone) > _READ_IN
        return above >= self._settings.parallel_batch_size or self._is_worn

    @property
    def is_overdue(self) -> bool:
        """Whether the matrix has grown so large that searches suffer: writes have to wait for `merge`."""
        return self.wants_merge and len(self._matrix) > 2 * max(self._settings.exact_limit, SLICE)

    @property
    def _is_worn(self) -> bool:
        return self._graph is not None and len(self._gone) * _WORN > len(self._graph)

    def merge(self, go_on: Callable[[], bool] = lambda: True) -> None:
        """Does a part of what `wants_merge`: about `SLICE` vectors, while searches wait for one batch at most.

        One caller at a time, and none that removes meanwhile but by `remove`.
        """
        if self._graph is None:
            graph = Graph(self.dimension, self._settings)
            with self._lock.writing():
                self._graph = graph
        elif self._graph.is_mapped:
            self._read_in(self._graph)
        elif self._is_worn:
            self._renew(self._graph)
        done = 0
        while done < SLICE and len(self._matrix) and go_on():
            with self._lock.writing():
                graph_now = self._graph
                if graph_now is None:
                    return
                count = min(len(self._matrix), self._settings.parallel_batch_size)
                graph_now.add(self._matrix.numbers[:count], self._matrix.vectors[:count])
                self._matrix.drop_first(count)
                self._changes += 1
            done += count

    def settle(self) -> None:
        """Frees a graph in memory of what was removed, so that it can be saved. One caller at a time, as `merge`."""
        if self._graph is not None and not self._graph.is_mapped and len(self._gone):
            self._renew(self._graph)

    def last_of_graph(self, last: int) -> int:
        """Up to which number the graph has all, where `last` is the highest that there was."""
        with self._lock.reading():
            return int(self._matrix.numbers[0]) - 1 if len(self._matrix) else last

    def save(self, write: Callable[[Graph], None]) -> None:
        """Calls `write` with the graph, which no change touches meanwhile; not where there is none in memory."""
        with self._lock.reading():
            if self._graph is not None and not self._graph.is_mapped:
                write(self._graph)

    def _read_in(self, mapped: Graph) -> None:
        """Puts a graph in memory in the place of the mapped one."""
        graph = Graph(self.dimension, self._settings)
        graph.read(mapped.content)
        self._replace(mapped, graph)

    def _renew(self, worn: Graph) -> None:
        graph = Graph(self.dimension, self._settings)
        np = numpy()
        graph.add(*worn.vectors_of(np.setdiff1d(worn.numbers, self._gone, assume_unique=True)))
        self._replace(worn, graph)

    def _replace(self, old: Graph, new: Graph) -> None:
        np = numpy()
        with self._lock.writing():
            if self._graph is not old:
                return  # All of it was removed meanwhile.
            self._graph = new
            gone, self._gone = self._gone, np.empty(0, np.int64)
            if len(gone):
                self._take_out(gone)
            self._changes += 1
