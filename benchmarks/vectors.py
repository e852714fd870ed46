"""Rows about passages: vectors found through collections, beside usearch called directly with the same vectors.

Both sides search 100,000 vectors of 384 numbers (`clustered.py`) with the same breadth, one question at a time.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.clustered import clustered, questions
from benchmarks.result import Result, Wanted, alone, compared
from benchmarks.stage import Stage
from llmspell_protocol.rag import ops
from llmspell_protocol.rag.documents import Chunk, Document
from llmspell_protocol.rag.places import Place
from llmspell_protocol.rag.settings import IndexSettings
from llmspell_rag.calls import Calls
from llmspell_rag.index.hnsw import breadth_for

if TYPE_CHECKING:
    from benchmarks.clustered import Vectors

COUNT = 100_000
DIMENSION = 384
K = 10
_PLACE = Place(owner="bench")
_CHUNKS = 100
"""of a document"""
_ASKED = 200
_TENTHS = 10


class Room:
    """A database of clustered vectors: a document for each hundred, whose metadata say which of ten parts it is of."""

    def __init__(self, directory: Path, count: int, dimension: int, settings: IndexSettings) -> None:
        self.count = count
        self.dimension = dimension
        self._documents = 0
        self.path = directory / "rag.db"
        self.calls = Calls(ops.Open(path=str(self.path), settings=settings))
        self.ask("create", place=_PLACE, model="bench", dimension=dimension)

    def ask(self, op: str, **fields: Any) -> Any:
        """The answer to a call."""
        return self.calls.act(op, ops.OPS[op].request(**fields), lambda: True, lambda done, total: None)

    def fill(self) -> None:
        """Writes as many documents as there should be vectors."""
        self.write(self.count)

    def write(self, count: int, *, seed: int = 0, stream: int = 0) -> None:
        """Writes so many vectors more, those of a seed and of a stream of it."""
        for block in clustered(count, self.dimension, seed, stream):
            for first in range(0, len(block), _CHUNKS):
                vectors = block[first : first + _CHUNKS]
                number = self._documents
                about = Document(id=f"{number}", hash="bench", metadata={"tenth": number % _TENTHS})
                self.ask("begin", place=_PLACE, write=1, model="bench", dimension=self.dimension, document=about)
                made = [
                    Chunk(ordinal=at, text=f"passage {at} of {number}", start=0, end=10, tokens=4)
                    for at in range(len(vectors))
                ]
                self.ask("add", write=1, chunks=made, vectors=vectors.tobytes())
                self.ask("commit", write=1)
                self._documents += 1

    def index(self) -> None:
        """Does what is to be done for the graph."""
        while self.calls.indexes.work():
            pass

    def search(self, vector: Any, **fields: Any) -> Any:
        """The nearest passages."""
        return self.ask("search", place=_PLACE, query="", vector=vector.tobytes(), method="vectors", k=K, **fields)


class Best:
    """The nearest of all vectors so far, by comparing each."""

    def __init__(self, asked: Vectors) -> None:
        self._asked = asked
        self._nearest: list[list[tuple[float, str]]] = [[] for _ in asked]
        self._documents = 0

    @property
    def nearest(self) -> list[set[str]]:
        """The ids of the nearest chunks of each question."""
        return [{name for _, name in one} for one in self._nearest]

    def add(self, count: int, stream: int = 0) -> None:
        """Looks at as many vectors more, as `Room.write` made them."""
        # An extra, and slow to import.
        import numpy as np

        for block in clustered(count, self._asked.shape[1], stream=stream):
            close = self._asked @ block.T
            for at, rows in enumerate(np.argsort(-close, axis=1)[:, :K].tolist()):
                new = [(float(close[at, row]), f"{self._documents + row // _CHUNKS}#{row % _CHUNKS}") for row in rows]
                self._nearest[at] = sorted(self._nearest[at] + new, reverse=True)[:K]
            self._documents += -(-len(block) // _CHUNKS)


class _Bench:
    """Both sides."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self.asked = questions(_ASKED, DIMENSION)

    @cached_property
    def room(self) -> Room:
        made = Room(self._stage.directory, COUNT, DIMENSION, IndexSettings())
        self._stage.callback(made.calls.close)
        made.fill()
        made.index()
        return made

    @cached_property
    def direct(self) -> Any:
        """usearch's own index of the vectors as they are, with the settings that are ours."""
        return self._made("f32")

    @cached_property
    def direct_default(self) -> Any:
        """The same in the number format that usearch chooses for this machine: 16 bits, where it has instructions."""
        return self._made(None)

    @staticmethod
    def _made(dtype: str | None) -> Any:
        import numpy as np
        from usearch.index import Index

        settings = IndexSettings()
        index = Index(
            ndim=DIMENSION,
            metric="cos",
            dtype=dtype,
            connectivity=settings.m,
            expansion_add=settings.ef_construction,
            expansion_search=breadth_for(COUNT, settings),
        )
        first = 0
        for block in clustered(COUNT, DIMENSION):
            index.add(np.arange(first, first + len(block)), block)
            first += len(block)
        return index

    def median_ms(self, search: Callable[[Any], Any]) -> float:
        """The median of one search, in milliseconds."""
        took = []
        for one in self.asked:
            began = time.perf_counter()
            search(one)
            took.append(time.perf_counter() - began)
        return statistics.median(took) * 1000

    def ours(self, fields: Mapping[str, Any]) -> float:
        """One side: a search of collections."""
        return self.median_ms(lambda one: self.room.search(one, **fields))

    def directly(self) -> float:
        """The other side."""
        return self.median_ms(lambda one: self.direct.search(one, K))

    def directly_by_default(self) -> float:
        """The other side, in usearch's own number format."""
        return self.median_ms(lambda one: self.direct_default.search(one, K))


def rag_search(stage: Stage) -> Iterator[Result]:
    """A search of the ten nearest, with their texts; then with a filter; then what share of the nearest is found."""
    bench = _Bench(stage)
    rows: tuple[tuple[str, Mapping[str, Any], str, float], ...] = (
        ("rag_search", {}, "", 1.1),
        ("rag_search_filtered", {"filter": {"tenth": 3}}, ", filtered to a tenth of them", 1.5),
        ("rag_search_half", {"filter": {"tenth": [0, 2, 4, 6, 8]}}, ", filtered to half of them", 1.5),
    )
    for name, fields, what, bound in rows:
        yield compared(
            name,
            stage.referee.compare(partial(bench.ours, fields), bench.directly),
            what=f"top {K} of {COUNT:,} × {DIMENSION} vectors with their passages, p50{what}",
            baseline_what="usearch called directly, unfiltered, without passages",
            unit="ms",
            wanted=Wanted(bound=bound),
        )
    yield compared(
        "rag_search_default",
        stage.referee.compare(partial(bench.ours, {}), bench.directly_by_default),
        what=f"top {K} of {COUNT:,} × {DIMENSION} vectors with their passages, p50",
        baseline_what=f"usearch in its own number format ({bench.direct_default.dtype.name.lower()}), without passages",
        unit="ms",
        wanted=None,
    )
    yield from _recall(stage, bench)


def _recall(stage: Stage, bench: _Bench) -> Iterator[Result]:
    best = Best(bench.asked)
    best.add(COUNT)

    def share() -> float:
        found = 0
        for one, nearest in zip(bench.asked, best.nearest, strict=True):
            found += len(nearest.intersection(hit.id for hit in bench.room.search(one).hits))
        return found / (K * len(bench.asked))

    yield alone(
        "rag_recall",
        stage.referee.measure(share),
        what=f"share of the {K} nearest of {COUNT:,} × {DIMENSION} vectors that a search finds",
        unit="",
        wanted=Wanted(bound=0.99, of="value", at="least"),
    )
