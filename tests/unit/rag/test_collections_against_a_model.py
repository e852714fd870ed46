"""What is found among random documents of random tenants is what a few lines of Python find that look at all."""

from __future__ import annotations

import math
import random
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from llmspell_protocol.errors import NotFound
from llmspell_protocol.rag import ops
from llmspell_protocol.rag.documents import Chunk, Document
from llmspell_protocol.rag.places import Place
from llmspell_protocol.rag.settings import IndexSettings
from llmspell_rag.calls import Calls

np = pytest.importorskip("numpy")

DIMENSION = 8
WORDS = ("tide", "moon", "harbour", "ERR-4711", "v1.2.3", "straße", "東京都", "salt")
PLACES = [
    Place(owner=owner, tenant=tenant, collection=collection)
    for owner in ("one", "two")
    for tenant in ("", "acme")
    for collection in ("default", "notes")
]
VALUES: list[Any] = [1, 1.0, True, "de", "en", None, 2.5]


@dataclass
class Doc:
    """A document as the model has it."""

    texts: list[str]
    vectors: list[list[float]]
    metadata: Mapping[str, Any]
    expires_at: float | None
    source: str


@dataclass
class Model:
    """All that should be there, by place and id."""

    places: dict[Place, dict[str, Doc]] = field(default_factory=dict)

    def alive(self, place: Place, now: float) -> dict[str, Doc]:
        there = self.places.get(place, {})
        return {key: one for key, one in there.items() if one.expires_at is None or one.expires_at > now}


def has(metadata: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether metadata are as a filter wants them."""
    return all(any(equal(metadata, key, one) for one in _several(value)) for key, value in wanted.items())


def _several(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list) else [value]


def equal(metadata: Mapping[str, Any], key: str, wanted: Any) -> bool:
    if key not in metadata:
        return False
    there = metadata[key]
    candidates = [there, *there] if isinstance(there, list) else [there]
    return any(one == wanted and isinstance(one, bool) == isinstance(wanted, bool) for one in candidates)


def cosine(one: list[float], other: list[float]) -> float:
    lengths = math.hypot(*one) * math.hypot(*other)
    return sum(a * b for a, b in zip(one, other, strict=True)) / lengths if lengths else 0.0


vectors = st.lists(st.integers(-3, 3).map(float), min_size=DIMENSION, max_size=DIMENSION)
metadata = st.dictionaries(
    st.sampled_from(["lang", "page", "a.b"]),
    st.one_of(st.sampled_from(VALUES), st.lists(st.sampled_from(VALUES), max_size=2)),
    max_size=2,
)
keys = st.sampled_from(["lang", "page", "a.b"])
wishes = st.one_of(st.sampled_from(VALUES), st.lists(st.sampled_from(VALUES), min_size=1, max_size=3))
some_filters = st.dictionaries(keys, wishes, min_size=1, max_size=2)
filters = st.one_of(st.just({}), some_filters)
texts = st.lists(st.sampled_from(WORDS), min_size=1, max_size=5).map(" ".join)
chunks = st.lists(st.tuples(texts, vectors), max_size=4)


class Collections(RuleBasedStateMachine):
    """Writes, removals, ends of life, restarts and a second worker, and after each what is found."""

    @initialize(
        limit=st.sampled_from([1, 6, 20_000]), quantization=st.sampled_from(["f32", "i8"]), mapped=st.booleans()
    )
    def start(self, limit: int, quantization: Any, mapped: bool) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.settings = IndexSettings(
            exact_limit=limit, quantization=quantization, is_mapped=mapped, num_threads=1, ef_search=200
        )
        self.workers = [self.open(), self.open()]
        self.model = Model()
        self.writes = 0
        self.random = random.Random(1)

    def open(self) -> Calls:
        return Calls(ops.Open(path=str(Path(self.folder.name) / "rag.db"), settings=self.settings))

    def ask(self, op: str, worker: int = 0, **fields: Any) -> Any:
        return self.workers[worker].act(op, ops.OPS[op].request(**fields), lambda: True, lambda done, total: None)

    def put(self, worker: int, place: Place, key: str, made: list[tuple[str, list[float]]], **about: Any) -> None:
        if place not in self.model.places:
            self.ask("create", worker, place=place, model="m", dimension=DIMENSION)
            self.model.places[place] = {}
        document = Document(
            id=key,
            hash=f"hash {key}",
            metadata=about["metadata"],
            source=about["source"],
            expires_at=about["expires_at"],
        )
        self.ask("begin", worker, place=place, write=1, model="m", dimension=DIMENSION, document=document)
        for ordinal, (text, vector) in enumerate(made):  # a frame for each
            chunk = Chunk(ordinal=ordinal, text=text, start=0, end=len(text), tokens=1)
            self.ask("add", worker, write=1, chunks=[chunk], vectors=np.array(vector, "<f4").tobytes())
        self.ask("commit", worker, write=1)
        doc = Doc(
            [one for one, _ in made], [one for _, one in made], about["metadata"], about["expires_at"], about["source"]
        )
        self.model.places[place][key] = doc

    @rule(
        worker=st.integers(0, 1),
        place=st.sampled_from(PLACES),
        key=st.sampled_from("abcdef"),
        made=chunks,
        metadata=metadata,
        source=st.sampled_from(["/docs/a", "/docs/sub/b", "/docs2/c"]),
        is_old=st.booleans(),
    )
    def write(self, worker: int, place: Place, key: str, made: Any, metadata: Any, source: str, is_old: bool) -> None:
        self.put(worker, place, key, made, metadata=metadata, source=source, expires_at=1.0 if is_old else None)

    @rule(worker=st.integers(0, 1), place=st.sampled_from(PLACES))
    def begin_and_abort(self, worker: int, place: Place) -> None:
        if place in self.model.places:
            document = Document(id="a", hash="other")
            self.ask("begin", worker, place=place, write=2, model="m", dimension=DIMENSION, document=document)
            chunk = Chunk(ordinal=0, text="tide", start=0, end=4, tokens=1)
            self.ask("add", worker, write=2, chunks=[chunk], vectors=bytes(4 * DIMENSION))
            self.ask("abort", worker, write=2)

    @rule(worker=st.integers(0, 1), place=st.sampled_from(PLACES), keys=st.sets(st.sampled_from("abcdef"), min_size=1))
    def delete_by_id(self, worker: int, place: Place, keys: set[str]) -> None:
        self.delete(worker, place, lambda key, _: key in keys, ids=sorted(keys))

    @rule(worker=st.integers(0, 1), place=st.sampled_from(PLACES))
    def delete_below(self, worker: int, place: Place) -> None:
        self.delete(worker, place, lambda _, doc: doc.source.startswith("/docs/"), sources=["/docs"])

    @rule(worker=st.integers(0, 1), place=st.sampled_from(PLACES), wanted=some_filters)
    def delete_by_metadata(self, worker: int, place: Place, wanted: Mapping[str, Any]) -> None:
        self.delete(worker, place, lambda _, doc: has(doc.metadata, wanted), filter=wanted)

    def delete(self, worker: int, place: Place, goes: Callable[[str, Doc], bool], **fields: Any) -> None:
        there = self.model.places.get(place)
        if there is None:
            with pytest.raises(NotFound):
                self.ask("delete", worker, place=place, **fields)
            return
        going = [key for key, doc in there.items() if goes(key, doc)]
        gone = self.ask("delete", worker, place=place, **fields)
        assert gone.documents == len(going)
        assert gone.chunks == sum(len(there.pop(key).texts) for key in going)

    @rule(worker=st.integers(0, 1), place=st.sampled_from(PLACES))
    def clear(self, worker: int, place: Place) -> None:
        there = self.model.places.pop(place, {})
        assert self.ask("clear", worker, place=place).documents == len(there)

    @rule(worker=st.integers(0, 1))
    def expire(self, worker: int) -> None:
        gone = self.ask("expire", worker).documents
        expected = 0
        for there in self.model.places.values():
            for key in [key for key, doc in there.items() if doc.expires_at is not None]:
                del there[key]
                expected += 1
        assert gone == expected

    @rule(worker=st.integers(0, 1))
    def tend(self, worker: int) -> None:
        while self.workers[worker].indexes.work():
            pass
        self.workers[worker].save()
        self.workers[worker].indexes.check()

    @rule(worker=st.integers(0, 1))
    def restart(self, worker: int) -> None:
        self.workers[worker].close()
        self.workers[worker] = self.open()

    @precondition(lambda self: any(self.model.places.values()))
    @rule(
        worker=st.integers(0, 1),
        data=st.data(),
        vector=vectors,
        k=st.integers(1, 12),
        wanted=filters,
        words=texts,
        method=st.sampled_from(["vectors", "words", "hybrid"]),
    )
    def search(self, worker: int, data: Any, vector: list[float], k: int, wanted: Any, words: str, method: Any) -> None:
        place = data.draw(st.sampled_from(sorted(self.model.places, key=repr)))
        found = self.ask(
            "search", worker, place=place, query=words, vector=np.array(vector, "<f4").tobytes(), k=k, method=method,
            filter=wanted, candidates=100,
        )  # fmt: skip
        assert list(found.warnings) == []
        may = {
            f"{key}#{at}": (text, cosine(one, vector))
            for key, doc in self.model.alive(place, 2.0).items()
            if has(doc.metadata, wanted)
            for at, (text, one) in enumerate(zip(doc.texts, doc.vectors, strict=True))
        }
        asked = set(words.lower().split())
        fits = {key for key, (text, _) in may.items() if asked & set(text.lower().split())}
        expected = {"vectors": len(may), "words": len(fits), "hybrid": len(may)}[method]
        assert len(found.hits) == min(k, expected)
        assert {hit.id for hit in found.hits} <= (fits if method == "words" else set(may))
        for hit in found.hits:
            text, close = may[hit.id]
            assert hit.text == text
            if method != "words":
                assert hit.score == pytest.approx(
                    max(0.0, close), abs=1e-4 if found.exact or method == "hybrid" else 0.02
                )
        if method == "vectors":
            best = sorted((max(0.0, close) for _, close in may.values()), reverse=True)[:k]
            assert [hit.score for hit in found.hits] == pytest.approx(best, abs=1e-4)
            assert [hit.by_vectors for hit in found.hits] == list(range(1, len(found.hits) + 1))
        if method == "hybrid":
            assert {hit.id for hit in found.hits if hit.by_words is not None} <= fits

    @invariant()
    def what_is_listed_and_counted_is_what_is_there(self) -> None:
        if not hasattr(self, "model"):
            return
        place = self.random.choice(PLACES)
        there = self.model.places.get(place)
        for worker in (0, 1):
            figures = self.ask("describe", worker, place=place).figures
            if there is None:
                assert figures is None
                continue
            assert (figures.documents, figures.chunks) == (len(there), sum(len(one.texts) for one in there.values()))
            listed = self.ask("list", worker, place=place).documents
            assert [one.id for one in listed] == sorted(self.model.alive(place, 2.0))

    def teardown(self) -> None:
        if hasattr(self, "model"):
            for worker in self.workers:
                worker.close()
            self.folder.cleanup()


TestCollections = Collections.TestCase
TestCollections.settings = settings(
    max_examples=60, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
