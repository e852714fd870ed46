"""Vectors by number: exact below a limit, a graph above it, and files that are whole or not used."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.clustered import clustered, questions
from llmspell_protocol.rag.settings import IndexSettings
from llmspell_rag.index import saved
from llmspell_rag.index.allowed import Allowed
from llmspell_rag.index.hnsw import Graph
from llmspell_rag.index.layers import Layers

np = pytest.importorskip("numpy")

DIMENSION = 32
COUNT = 3000
SETTINGS = IndexSettings(exact_limit=1000, num_threads=2)


@pytest.fixture(scope="module")
def vectors() -> Any:
    return np.vstack(list(clustered(COUNT, DIMENSION)))


@pytest.fixture(scope="module")
def asked() -> Any:
    return questions(40, DIMENSION)


def layers(vectors: Any, settings: IndexSettings = SETTINGS) -> Layers:
    """All vectors, with what is to be done for the graph done."""
    made = Layers(DIMENSION, settings)
    for at in range(0, COUNT, 700):
        made.append(np.arange(at, min(COUNT, at + 700)) + 1, vectors[at : at + 700])
        while made.wants_merge:
            made.merge()
    return made


def best(vectors: Any, wanted: Any, k: int, numbers: Any) -> list[int]:
    """The nearest of some, by looking at all of them."""
    order = np.argsort(-(vectors[numbers - 1] @ wanted), kind="stable")[:k]
    return [int(one) for one in numbers[order]]


def recall(there: Layers, vectors: Any, asked: Any, numbers: Any, allowed: Allowed | None = None) -> float:
    """The share of the ten nearest that is found."""
    found = 0
    for wanted in asked:
        nearest = there.nearest(wanted, 10, allowed, lambda some: (some, vectors[some - 1]))
        assert len(nearest.numbers) == min(10, len(numbers))
        assert list(nearest.close) == sorted(nearest.close, reverse=True)
        found += len(set(nearest.numbers.tolist()) & set(best(vectors, wanted, 10, numbers)))
    return found / sum(min(10, len(numbers)) for _ in asked)


@pytest.mark.parametrize("quantization", ["f32", "f16", "i8"])
@pytest.mark.parametrize("reuses", [True, False])
def test_a_graph_finds_what_comparing_all_finds_before_and_after_vectors_go(
    vectors: Any, asked: Any, quantization: Any, reuses: bool
) -> None:
    there = layers(
        vectors,
        IndexSettings(exact_limit=1000, num_threads=2, quantization=quantization, allow_replace_deleted=reuses),
    )
    numbers = np.arange(1, COUNT + 1)
    assert there.graph is not None
    assert recall(there, vectors, asked, numbers) >= 0.99
    there.remove(numbers[::2])
    while there.wants_merge:
        there.merge()
    assert there.numbers.tolist() == numbers[1::2].tolist()
    assert recall(there, vectors, asked, numbers[1::2]) >= 0.99
    there.remove(numbers)
    assert len(there) == 0
    assert len(there.nearest(asked[0], 10).numbers) == 0


def test_below_the_limit_every_vector_is_compared(vectors: Any, asked: Any) -> None:
    there = Layers(DIMENSION, SETTINGS)
    there.append(np.arange(1, 1000), vectors[:999])
    assert not there.wants_merge
    assert there.nearest(asked[0], 10).is_exact
    assert recall(there, vectors, asked, np.arange(1, 1000)) == 1.0


@pytest.mark.parametrize("every", [1000, 300, 40, 7, 2])
def test_a_filter_that_leaves_few_or_many_finds_as_many_as_are_wanted(vectors: Any, asked: Any, every: int) -> None:
    there = layers(vectors)
    numbers = np.arange(1, COUNT + 1)[::every]
    assert recall(there, vectors, asked, numbers, Allowed(numbers)) >= 0.99


def test_a_filter_that_leaves_only_what_lies_far_away_finds_it(vectors: Any, asked: Any) -> None:
    there = layers(vectors)
    far = np.argsort(vectors @ asked[0])[:1500] + 1
    numbers = np.sort(far)
    assert there.nearest(asked[0], 10, Allowed(numbers)).numbers.tolist() == best(vectors, asked[0], 10, numbers)
    nothing = there.nearest(asked[0], 10, Allowed(np.empty(0, np.int64)))
    assert len(nothing.numbers) == 0


@pytest.mark.parametrize("metric", ["cosine", "euclidean", "inner_product"])
def test_each_metric_orders_by_itself(metric: Any) -> None:
    random = np.random.default_rng(1)
    vectors = random.standard_normal((400, DIMENSION)).astype(np.float32) * random.uniform(0.1, 3, (400, 1))
    vectors = vectors.astype(np.float32)
    wanted = vectors[7] * 0.5
    order = {
        "cosine": -(vectors @ wanted) / np.linalg.norm(vectors, axis=1),
        "euclidean": np.linalg.norm(vectors - wanted, axis=1),
        "inner_product": -(vectors @ wanted),
    }[metric]
    for limit in (1000, 100):
        there = Layers(DIMENSION, IndexSettings(metric=metric, exact_limit=limit, ef_search=400))
        there.append(np.arange(400) + 1, vectors)
        while there.wants_merge:
            there.merge()
        assert (there.graph is None) is (limit == 1000)
        found = there.nearest(wanted, 20)
        expected = (np.argsort(order)[:20] + 1).tolist()
        if there.graph is None:
            assert found.numbers.tolist() == expected
        else:  # It may miss one.
            assert len(set(found.numbers.tolist()) & set(expected)) >= 19
            assert list(order[found.numbers - 1]) == sorted(order[found.numbers - 1])


def test_what_is_searched_from_many_threads_while_vectors_come_is_right(vectors: Any, asked: Any) -> None:
    there = layers(vectors)
    expected = [there.nearest(one, 10).numbers.tolist() for one in asked]
    wrong: list[int] = []
    # What lies far from all that is asked for changes nothing of what is found.
    far = np.concatenate([-vectors, vectors[:, ::-1]])
    far = far[(far @ asked.T).max(axis=1) < min(float(there.nearest(one, 10).close[-1]) for one in asked)]
    assert len(far) > 500

    def search() -> None:
        for _ in range(20):
            for at, one in enumerate(asked):
                found = there.nearest(one, 10).numbers.tolist()
                if len(set(found) & set(expected[at])) < 9:
                    wrong.append(at)

    threads = [threading.Thread(target=search) for _ in range(4)]
    for thread in threads:
        thread.start()
    for at in range(0, len(far), 100):
        some = far[at : at + 100]
        there.append(np.arange(at, at + len(some)) + COUNT + 1, some)
        while there.wants_merge:
            there.merge()
    for thread in threads:
        thread.join()
    assert wrong == []


ABOUT = saved.About(
    database="one",
    place=1,
    epoch=0,
    generation=3,
    stamp="s",
    last=COUNT,
    dimension=DIMENSION,
    metric="cosine",
    quantization="f32",
    m=16,
    count=COUNT,
)


def graph(vectors: Any) -> Graph:
    made = Graph(DIMENSION, SETTINGS)
    made.add(np.arange(1, COUNT + 1), vectors)
    return made


def test_a_saved_graph_is_mapped_and_read_into_memory_when_it_changes(tmp_path: Path, vectors: Any, asked: Any) -> None:
    path = tmp_path / "indexes" / "1.index"
    saved.save(path, graph(vectors), ABOUT)
    assert sorted(one.name for one in path.parent.iterdir()) == ["1.index", "lock"]
    file = saved.opened(path)
    assert file is not None
    assert file.about == ABOUT
    assert file.content_is_sound()
    assert file.content_is_sound(lambda: False) is None
    mapped = Graph(DIMENSION, SETTINGS)
    mapped.map(file.content)
    there = Layers(DIMENSION, SETTINGS)
    there.take(mapped)
    numbers = np.arange(1, COUNT + 1)
    assert recall(there, vectors, asked, numbers) >= 0.99
    there.remove(numbers[:500])
    assert there.graph is mapped
    assert recall(there, vectors, asked, numbers[500:]) >= 0.99
    there.remove(numbers[500:2600])
    while there.wants_merge:
        there.merge()
    assert there.graph is not mapped
    assert recall(there, vectors, asked, numbers[2600:]) >= 0.99


def test_a_file_of_a_later_state_stays(tmp_path: Path, vectors: Any) -> None:
    path = tmp_path / "1.index"
    made = graph(vectors)
    for generation, expected in ((5, 5), (4, 5), (6, 6)):
        saved.save(path, made, replace(ABOUT, generation=generation))
        file = saved.opened(path)
        assert file is not None
        assert file.about.generation == expected
    saved.save(path, made, replace(ABOUT, generation=1, epoch=1))
    file = saved.opened(path)
    assert file is not None
    assert file.about.epoch == 1


@pytest.mark.parametrize("way", ["cut", "longer", "end", "empty", "noise", "content"])
def test_a_damaged_file_is_known(tmp_path: Path, vectors: Any, way: str) -> None:
    path = tmp_path / "1.index"
    saved.save(path, graph(vectors), ABOUT)
    whole = path.read_bytes()
    changed = {
        "cut": whole[: len(whole) // 2],
        "longer": whole + b"x",
        "end": whole[:-2000] + b"y" + whole[-1999:],
        "empty": b"",
        "noise": bytes(range(256)) * 100,
        "content": whole[:50_000] + bytes([whole[50_000] ^ 1]) + whole[50_001:],
    }[way]
    path.write_bytes(changed)
    if way == "content":
        file = saved.opened(path)
        assert file is not None
        assert file.content_is_sound() is False
    else:
        with pytest.raises(saved.Damaged):
            saved.opened(path)
    assert saved.opened(tmp_path / "2.index") is None


def test_what_ended_while_it_looked_at_an_unchecked_file_is_known_by_the_next(tmp_path: Path) -> None:
    path = tmp_path / "1.index"
    assert not saved.Unchecked.was_left(path)
    mark = saved.Unchecked(path)
    mark.set()
    mark.clear()
    assert not saved.Unchecked.was_left(path)
    (tmp_path / "1.index.999999999.unchecked").touch()
    assert saved.Unchecked.was_left(path)
    assert not saved.Unchecked.was_left(path)
    (tmp_path / "1.index.1.unchecked").touch()  # a process that runs
    assert not saved.Unchecked.was_left(path)
