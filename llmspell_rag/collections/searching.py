"""Passages that fit a question: by words, by vectors, and both fused by their ranks. Blocks; on a thread that reads.

Filters and ends of life are part of the search itself, not of what becomes of its results. What one way finds is
ordered by its score; what both find, by reciprocal rank (Cormack, Clarke and Büttcher, SIGIR 2009): 1 ÷ (60 + rank),
added up, where words take part only with what says enough of the question (`coverage.py`). The score of a passage is
how near its vector is to the question's, by whichever way it was found. Without a vector it is how well the words fit:
bm25 for each word that was asked for, b, as b ÷ (b + 1).
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from llmspell_protocol.errors import InvalidRequest
from llmspell_protocol.rag import ops
from llmspell_protocol.rag.documents import Hit
from llmspell_rag.collections import documents, places
from llmspell_rag.collections.allowances import Allowances
from llmspell_rag.collections.coverage import least_fit, passages_with, telling
from llmspell_rag.collections.filters import asked, documents_with
from llmspell_rag.collections.indexes import Entry, Indexes, Later
from llmspell_rag.collections.places import PlaceRow
from llmspell_rag.collections.store import GoOn, Store
from llmspell_rag.collections.stored_vectors import vectors_of
from llmspell_rag.collections.tables import words_table
from llmspell_rag.index.closeness import closeness, numpy, prepared, prepared_one, read_vectors, score
from llmspell_storage.words import any_of

if TYPE_CHECKING:
    from llmspell_rag.index.closeness import Numbers, Vectors

MOST = 10_000
"""Passages of one search."""
_FUSION = 60
_CANDIDATES = 50
_TRIES = 4
_AT_ONCE = 500
_COLUMNS = "chunks.number, id, ordinal, title, source, text, metadata, page, section, line, first, last, chunks.tokens"


class _Ask(NamedTuple):
    """A search in one moment of the database."""

    connection: sqlite3.Connection
    row: PlaceRow
    call: ops.Search
    wanted: tuple[tuple[str, tuple[str, ...]], ...]
    ended: int
    """documents that have expired and are still there"""
    is_last_try: bool

    @property
    def is_open(self) -> bool:
        """Whether all that is in the place may be found."""
        return not self.wanted and not self.ended


@dataclass
class _Candidate:
    """A chunk that was found."""

    number: int
    score: float = 0.0
    by_words: int | None = None
    by_vectors: int | None = None

    @property
    def fused(self) -> float:
        """What its ranks are worth."""
        return sum(1 / (_FUSION + rank) for rank in (self.by_words, self.by_vectors) if rank is not None)


class Searching:
    """The searches of a worker."""

    def __init__(self, store: Store, indexes: Indexes) -> None:
        self._store = store
        self._indexes = indexes
        self._allowances = Allowances()
        self._metric = store.settings.metric
        self._lock = threading.Lock()
        self.searches = 0
        """since the worker began"""

    def search(self, call: ops.Search, go_on: GoOn) -> ops.Found:
        """The passages that fit best."""
        _check(call)
        with self._lock:
            self.searches += 1
        wanted = asked(call.filter)
        count = max(call.k, call.candidates or (_CANDIDATES if self._is_many(call) else call.k))
        for tries_left in reversed(range(_TRIES)):
            with self._store.reading(go_on) as connection:
                row = places.found(connection, call.place)
                if row is None:
                    return ops.Found(hits=(), exact=True, model=None)
                if call.vector is not None and call.method != "words":
                    places.demand(row, call.model, len(call.vector) // 4)
                ended = documents.expired(connection, row, time.time())
                ask = _Ask(connection, row, call, wanted, ended, tries_left == 0)
                try:
                    found, is_missing = self._found(ask, count)
                except Later:
                    continue
            # The index was ahead of this moment: some of what it found isn't there in it.
            if not is_missing or not tries_left:
                return found
            count *= 2
        raise AssertionError("the last try has an answer")

    def prepare(self, call: ops.Prepare, go_on: GoOn) -> ops.Nothing:
        """Has the index open."""
        with self._store.reading(go_on) as connection:
            row = places.found(connection, call.place)
            if row is not None:
                self._indexes.follow(connection, row)
        return ops.Nothing()

    @staticmethod
    def _is_many(call: ops.Search) -> bool:
        return call.method == "hybrid" or call.diversity is not None

    def _found(self, ask: _Ask, count: int) -> tuple[ops.Found, bool]:
        call = ask.call
        candidates: dict[int, _Candidate] = {}
        is_exact, warnings, lacking = True, [], False
        if call.method != "vectors":
            for rank, (number, fit) in enumerate(self._by_words(ask, count), 1):
                candidates[number] = _Candidate(number, fit, by_words=rank)
        if call.method != "words":
            assert call.vector is not None
            vector = read_vectors(call.vector, ask.row.dimension)[0]
            entry = self._indexes.of(ask.connection, ask.row, is_last_try=ask.is_last_try)
            numbers, close, is_exact = self._nearest(ask, entry, vector, count)
            warnings, entry.warnings = entry.warnings, []
            for rank, (number, one) in enumerate(zip(numbers.tolist(), close.tolist(), strict=True), 1):
                candidate = candidates.setdefault(number, _Candidate(number))
                candidate.score, candidate.by_vectors = score(one, self._metric), rank
            self._score_rest(ask, vector, [one for one in candidates.values() if one.by_vectors is None])
        ordered = self._ordered(ask, candidates.values())
        if call.diversity:
            ordered = self._diverse(ask, ordered)
        hits = _hits(ask.connection, ordered[: call.k])
        lacking = len(hits) < min(call.k, len(ordered))
        return ops.Found(hits=hits, exact=is_exact, model=ask.row.model, warnings=warnings), lacking

    def _by_words(self, ask: _Ask, count: int) -> list[tuple[int, float]]:
        """Chunks and how well the words fit, the best first."""
        words = any_of(ask.call.query)
        if not words:
            return []
        table, passages = words_table(ask.row.number), ask.row.chunks
        spread = passages_with(ask.connection, table, words)
        terms = telling(spread, passages)
        parameters: list[Any] = [" OR ".join(terms)]
        only = ""
        if not ask.is_open:
            let, more = documents_with(ask.row.number, ask.wanted)
            alive = "expires_at IS NULL OR expires_at > ?"
            only = (
                f" AND (SELECT document FROM chunks WHERE number = {table}.rowid) IN"
                f" (SELECT number FROM documents WHERE number IN ({let}) AND ({alive}))"
            )
            parameters += [*more, time.time()]
        rows = ask.connection.execute(
            f"SELECT rowid, rank FROM {table} WHERE {table} MATCH ?{only} ORDER BY rank, rowid LIMIT ?",
            [*parameters, count],
        ).fetchall()
        least = least_fit(spread, passages) if ask.call.method == "hybrid" else 0.0
        return [(number, -rank / (-rank + len(terms))) for number, rank in rows if -rank >= least]

    def _nearest(self, ask: _Ask, entry: Entry, vector: Vectors, count: int) -> tuple[Numbers, Vectors, bool]:
        allowed = None
        if not ask.is_open:
            allowed = self._allowances.of(ask.connection, ask.row, ask.wanted, ask.ended)
        found = entry.layers.nearest(
            vector, count, allowed, lambda numbers: vectors_of(ask.connection, numbers, ask.row.dimension)
        )
        return found.numbers, found.close, found.is_exact

    def _score_rest(self, ask: _Ask, vector: Vectors, rest: Sequence[_Candidate]) -> None:
        """How near those are that words have found."""
        if not rest:
            return
        np = numpy()
        numbers, vectors = vectors_of(
            ask.connection, np.array([one.number for one in rest], np.int64), ask.row.dimension
        )
        ready = prepared_one(vector, self._metric)
        near = closeness(prepared(vectors, self._metric), ready, self._metric)
        scores = {number: score(one, self._metric) for number, one in zip(numbers.tolist(), near.tolist(), strict=True)}
        for one in rest:
            one.score = scores.get(one.number, 0.0)

    def _ordered(self, ask: _Ask, candidates: Any) -> list[_Candidate]:
        call = ask.call
        kept = [one for one in candidates if call.threshold is None or one.score >= call.threshold]
        if call.method == "hybrid":
            return sorted(kept, key=lambda one: (-one.fused, -one.score, one.number))
        return sorted(kept, key=lambda one: (one.by_words or 0, one.by_vectors or 0))

    def _diverse(self, ask: _Ask, ordered: list[_Candidate]) -> list[_Candidate]:
        """Maximal marginal relevance (Carbonell and Goldstein, SIGIR 1998): each one fits, and says something else.

        How well it fits is its score, or what its ranks are worth where both ways were gone, beside the best one's.
        """
        np = numpy()
        call = ask.call
        pool = ordered[: max(4 * call.k, _CANDIDATES)]
        numbers = np.array([one.number for one in pool], np.int64)
        there, vectors = vectors_of(ask.connection, numbers, ask.row.dimension)
        pool = [one for one in pool if one.number in set(there.tolist())]
        if not pool:
            return ordered
        vectors = prepared(vectors, "cosine")[np.searchsorted(there, [one.number for one in pool])]
        worth = np.array([one.fused if call.method == "hybrid" else one.score for one in pool])
        if call.method == "hybrid":
            worth = worth / worth.max()
        weight = 1.0 - (call.diversity or 0.0)
        like = np.zeros(len(pool))
        left = np.ones(len(pool), bool)
        chosen: list[int] = []
        while len(chosen) < min(call.k, len(pool)):
            at = int(np.argmax(np.where(left, weight * worth - (1.0 - weight) * like, -np.inf)))
            chosen.append(at)
            left[at] = False
            like = np.maximum(like, vectors @ vectors[at])
        return [pool[at] for at in chosen]


def _check(call: ops.Search) -> None:
    if not 1 <= call.k <= MOST:
        raise InvalidRequest(f"k must be a positive integer of at most {MOST:,}, not {call.k}")
    if not call.query.strip() and call.method != "vectors":
        raise InvalidRequest("a search needs words to search for")
    if call.method != "words" and call.vector is None:
        raise InvalidRequest(f"a search by {call.method} needs the question's vector")
    for name, value in (("threshold", call.threshold), ("diversity", call.diversity)):
        if value is not None and not 0 <= value <= 1:
            raise InvalidRequest(f"{name} lies between 0 and 1, not at {value:g}")


def _hits(connection: sqlite3.Connection, candidates: Sequence[_Candidate]) -> list[Hit]:
    """The passages, as far as the caller's moment has them."""
    rows: dict[int, tuple[Any, ...]] = {}
    for at in range(0, len(candidates), _AT_ONCE):
        some = [one.number for one in candidates[at : at + _AT_ONCE]]
        found = connection.execute(
            f"SELECT {_COLUMNS} FROM chunks JOIN documents ON documents.number = document"
            f" WHERE chunks.number IN ({','.join('?' * len(some))})",
            some,
        )
        rows.update((one[0], one[1:]) for one in found)
    # Hits are often of one document.
    metadata = {text: json.loads(text) for text in {row[5] for row in rows.values()}}
    return [_hit(rows[one.number], one, metadata) for one in candidates if one.number in rows]


def _hit(row: tuple[Any, ...], candidate: _Candidate, metadata: Mapping[str, Any]) -> Hit:
    document, ordinal, title, source, text, about, page, section, line, start, end, tokens = row
    return Hit(
        id=f"{document}#{ordinal}",
        document=document,
        title=title,
        source=source,
        text=text,
        score=candidate.score,
        metadata=metadata[about],
        page=page,
        section=section,
        line=line,
        start=start,
        end=end,
        tokens=tokens,
        by_words=candidate.by_words,
        by_vectors=candidate.by_vectors,
    )
