"""What filters let through: the numbers of chunks, kept as long as the place stays as it is."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections import OrderedDict
from typing import TYPE_CHECKING

from llmspell_rag.collections.filters import documents_with
from llmspell_rag.collections.places import PlaceRow
from llmspell_rag.index.allowed import Allowed
from llmspell_rag.index.closeness import numpy

if TYPE_CHECKING:
    from llmspell_rag.index.closeness import Numbers

_MOST_BYTES = 64 << 20
"""What the answers may take, with the vectors that belong to them."""


class Allowances:
    """The answers to filters that were asked lately."""

    def __init__(self) -> None:
        self._known: OrderedDict[object, Allowed] = OrderedDict()
        self._lock = threading.Lock()

    def of(
        self, connection: sqlite3.Connection, row: PlaceRow, wanted: tuple[tuple[str, tuple[str, ...]], ...], ended: int
    ) -> Allowed:
        """The chunks that a filter lets through, without those of `ended` documents, which have expired."""
        key = (row.number, row.epoch, row.generation, wanted, ended)
        with self._lock:
            known = self._known.get(key)
            if known is not None:
                self._known.move_to_end(key)
                return known
        query, parameters = documents_with(row.number, wanted)
        alive = ""
        if ended:
            alive = " AND (expires_at IS NULL OR expires_at > ?)"
            parameters = [*parameters, time.time()]
        # A document's chunks follow each other.
        ranges = connection.execute(
            "SELECT first_chunk, first_chunk + chunks - 1 FROM documents"
            f" WHERE chunks > 0 AND number IN ({query}){alive} ORDER BY first_chunk",
            parameters,
        ).fetchall()
        found = Allowed(_numbers_in(ranges))
        with self._lock:
            self._known[key] = found
            while len(self._known) > 1 and sum(one.memory_bytes for one in self._known.values()) > _MOST_BYTES:
                self._known.popitem(last=False)
        return found


def _numbers_in(ranges: list[tuple[int, int]]) -> Numbers:
    np = numpy()
    if not ranges:
        return np.empty(0, np.int64)  # type: ignore[no-any-return]
    both = np.array(ranges, np.int64)
    both = both[both[:, 0].argsort()]
    counts = both[:, 1] - both[:, 0] + 1
    starts = np.repeat(both[:, 0] - np.concatenate([[0], np.cumsum(counts)[:-1]]), counts)
    found: Numbers = starts + np.arange(int(counts.sum()))
    return found
