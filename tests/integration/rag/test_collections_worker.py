"""The collections worker as a process: what it answers, and what is left after it, its disk or its memory gives out."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from benchmarks.clustered import clustered, questions
from llmspell_protocol.errors import Cancelled, Conflict, DiskFull, InvalidRequest, LlmspellError, OutOfMemory
from llmspell_protocol.rag.documents import Document
from llmspell_protocol.rag.places import Place
from llmspell_protocol.rag.settings import IndexSettings
from tests.support.rag_worker import PLACE, RagWorker, chunks

np = pytest.importorskip("numpy")

DIMENSION = 32
SETTINGS = IndexSettings(exact_limit=200, ef_search=400, num_threads=1, save_interval_s=0.05)
CHUNKS = 20


@pytest.fixture(scope="module")
def vectors() -> Any:
    return np.vstack(list(clustered(4000, DIMENSION)))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "rag.db"


@pytest.fixture
def worker(path: Path) -> Iterator[RagWorker]:
    with RagWorker(path, SETTINGS) as made:
        made.ask("create", place=PLACE, model="mock:embed", dimension=DIMENSION)
        yield made


def put(worker: RagWorker, vectors: Any, number: int, version: int = 0) -> None:
    """Writes the document of a number, whose chunks say which they are and have vectors of their own."""
    texts = [f"document {number} version {version} chunk {at}" for at in range(CHUNKS)]
    document = Document(id=f"{number}", hash=f"{version}", metadata={"number": number})
    worker.write(document, texts, vectors[number * CHUNKS : (number + 1) * CHUNKS].tobytes())


def found(worker: RagWorker, wanted: Any, k: int = 10, **fields: Any) -> list[str]:
    """The ids of the nearest chunks."""
    reply = worker.ask(
        "search", place=PLACE, query="document", vector=wanted.tobytes(), method="vectors", k=k, **fields
    )
    return [hit.id for hit in reply.hits]


def nearest(vectors: Any, wanted: Any, documents: list[int], k: int = 10) -> list[str]:
    """The same by looking at all of some documents."""
    rows = [number * CHUNKS + at for number in documents for at in range(CHUNKS)]
    rows.sort(key=lambda row: -float(vectors[row] @ wanted))
    return [f"{row // CHUNKS}#{row % CHUNKS}" for row in rows[:k]]


def alike(one: list[str], other: list[str]) -> bool:
    """Whether two answers are the same, but for one that a graph may miss."""
    return len(one) == len(other) and len(set(one) & set(other)) >= len(other) - 1


def listed(worker: RagWorker) -> dict[str, str]:
    """Hashes by id of what is there."""
    return {one.id: one.hash for one in worker.ask("list", place=PLACE, limit=1000).documents}


def sound(path: Path) -> None:
    """The database is whole, and its tables agree with each other."""
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        for table in ("chunks", "vectors"):
            assert connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] == sum(
                one for (one,) in connection.execute("SELECT chunks FROM documents")
            )
        connection.execute("INSERT INTO words_1 (words_1) VALUES ('integrity-check')")


def test_reads_are_answered_beside_writes_and_in_their_order(worker: RagWorker, vectors: Any) -> None:
    for number in range(30):
        put(worker, vectors, number)
    asked = questions(20, DIMENSION)
    calls = [
        worker.send("search", place=PLACE, query="x", vector=one.tobytes(), method="vectors", k=10) for one in asked
    ]
    put(worker, vectors, 30)
    for one, call in zip(asked, calls, strict=True):
        ids = [hit.id for hit in worker.answer("search", call).hits]
        assert any(alike(ids, nearest(vectors, one, list(range(count)))) for count in (30, 31))
    assert alike(found(worker, asked[0]), nearest(vectors, asked[0], list(range(31))))


def test_a_document_that_was_begun_is_not_seen_and_gone_with_its_worker(path: Path, vectors: Any) -> None:
    with RagWorker(path, SETTINGS) as one:
        one.ask("create", place=PLACE, model="mock:embed", dimension=DIMENSION)
        put(one, vectors, 0)
        about = {"place": PLACE, "model": "mock:embed", "dimension": DIMENSION}
        one.ask("begin", write=5, document=Document(id="0", hash="new"), **about)
        one.ask("add", write=5, chunks=chunks(["new words"]), vectors=vectors[:1].tobytes())
        assert listed(one) == {"0": "0"}
    with RagWorker(path, SETTINGS) as one:
        assert listed(one) == {"0": "0"}
        with pytest.raises(InvalidRequest, match="write 5 is not open"):
            one.ask("commit", write=5)


@pytest.mark.slow
def test_a_worker_that_is_killed_at_any_moment_leaves_what_was_committed_and_nothing_else(
    path: Path, vectors: Any
) -> None:
    chance = random.Random(4711)
    committed: dict[str, str] = {}
    for life in range(12):
        before = dict(committed)
        worker = RagWorker(path, SETTINGS)
        if life == 0:
            worker.ask("create", place=PLACE, model="mock:embed", dimension=DIMENSION)
        wanted = vectors[chance.randrange(len(vectors))]
        there, ids = listed(worker), found(worker, wanted)
        # It is ended while documents come, new ones and changed ones, or while it sees to its index.
        timer = threading.Timer(chance.uniform(0.0, 0.4), os.kill, (worker.pid, signal.SIGKILL))
        timer.start()
        pending: tuple[str, str] | None = None
        with contextlib.suppress(EOFError, BrokenPipeError):
            while True:
                number = chance.randrange(60)
                pending = (str(number), str(life))
                put(worker, vectors, number, life)
                committed[pending[0]] = pending[1]
                if chance.random() < 0.2:
                    pending = None
                    worker.ask("save")
        timer.join()
        worker.kill()
        assert there == before
        assert alike(ids, nearest(vectors, wanted, [int(one) for one in before])), (ids, sorted(before))
        sound(path)
        with RagWorker(path, SETTINGS) as looking:
            there = listed(looking)
            # What was not answered may have been committed: then it is there as a whole.
            if pending is not None and there != committed:
                committed[pending[0]] = pending[1]
            assert there == committed


def test_two_workers_write_into_one_collection_and_each_finds_what_the_other_wrote(path: Path, vectors: Any) -> None:
    with RagWorker(path, SETTINGS) as one, RagWorker(path, SETTINGS) as two:
        one.ask("create", place=PLACE, model="mock:embed", dimension=DIMENSION)
        failed: list[BaseException] = []

        def write(worker: RagWorker, numbers: range) -> None:
            try:
                for number in numbers:
                    put(worker, vectors, number)
            except BaseException as error:  # noqa: BLE001 - told by the test
                failed.append(error)

        threads = [
            threading.Thread(target=write, args=(worker, range(first, 60, 2)))
            for first, worker in enumerate((one, two))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failed == []
        everything = list(range(60))
        for worker in (one, two):
            for wanted in questions(10, DIMENSION):
                assert alike(found(worker, wanted), nearest(vectors, wanted, everything))
        assert one.ask("delete", place=PLACE, filter={"number": [0, 1, 2]}).documents == 3
        put(two, vectors, 3, version=1)
        for worker in (one, two):
            worker.ask("save")
            assert alike(found(worker, vectors[0]), nearest(vectors, vectors[0], everything[3:]))
            assert listed(worker)["3"] == "1"
    sound(path)
    with RagWorker(path, SETTINGS) as third:
        reply = third.ask("search", place=PLACE, query="x", vector=vectors[99].tobytes(), method="vectors", k=5)
        assert alike([hit.id for hit in reply.hits], nearest(vectors, vectors[99], everything[3:], 5))
        assert not reply.warnings


def test_a_full_disk_is_told_and_leaves_what_was_there(small_disk: Path, vectors: Any) -> None:
    path = small_disk / "rag.db"
    with RagWorker(path, SETTINGS) as worker:
        worker.ask("create", place=PLACE, model="mock:embed", dimension=DIMENSION)
        number, full = 0, None
        while full is None:
            texts = [f"{number} {at} " + "many words " * 200 for at in range(CHUNKS)]
            try:
                worker.write(Document(id=str(number), hash="0"), texts, vectors[number * CHUNKS :][:CHUNKS].tobytes())
                number += 1
            except DiskFull as error:
                full = error
        assert str(path) in full.message
        worker.ask("abort", write=1)
        assert set(listed(worker)) == {str(one) for one in range(number)}
        assert alike(found(worker, vectors[0]), nearest(vectors, vectors[0], list(range(number))))
        # Removing what is no longer needed needs some room itself.
        with contextlib.suppress(DiskFull):
            worker.ask("delete", place=PLACE, ids=[str(one) for one in range(number)])


def test_a_call_is_cancelled_while_it_waits_or_runs(worker: RagWorker, vectors: Any) -> None:
    for number in range(100):
        put(worker, vectors, number)
    before = found(worker, vectors[0])
    call = worker.send("rebuild", place=PLACE)
    waiting = worker.send("delete", place=PLACE, ids=["0"])
    worker.cancel(waiting)
    worker.cancel(call)
    for op, number in (("rebuild", call), ("delete", waiting)):
        try:
            worker.answer(op, number)
        except Cancelled:
            continue
        assert op == "rebuild"  # It was quicker.
    assert alike(found(worker, vectors[0]), before)
    assert worker.ask("rebuild", place=PLACE).figures.index == "hnsw"
    assert worker.progress[-1]["done"] == worker.progress[-1]["total"] == 100 * CHUNKS
    assert alike(found(worker, vectors[0]), before)


def test_more_memory_than_the_worker_may_take_is_told_and_the_worker_goes_on(path: Path, vectors: Any) -> None:
    log = path.with_name("worker.log")
    with RagWorker(path, SETTINGS, memory_bytes=400 << 20, log_path=log) as worker:
        worker.ask("create", place=PLACE, model="mock:embed", dimension=DIMENSION)
        put(worker, vectors, 0)
        wide = Place(owner="key", collection="wide")
        worker.ask("create", place=wide, model="mock:wide", dimension=200_000)
        error: LlmspellError | None = None
        for number in range(60):
            document = Document(id=str(number), hash="0")
            try:
                worker.write(document, ["x"] * 10, bytes(10 * 200_000 * 4), place=wide, model="mock:wide")
            except OutOfMemory as told:
                error = told
                break
        assert error is not None, log.read_text()
        worker.ask("abort", write=1)
        assert alike(found(worker, vectors[0]), nearest(vectors, vectors[0], [0]))


def test_what_is_no_call_is_refused_and_the_next_one_answered(worker: RagWorker, vectors: Any) -> None:
    put(worker, vectors, 0)
    with pytest.raises(Conflict, match=f"{DIMENSION} dimensions .* not of 3"):
        found(worker, np.zeros(3, np.float32))
    with pytest.raises(InvalidRequest, match="open already"):
        worker.ask("open", path=None)
    with pytest.raises(InvalidRequest, match="k must be a positive integer"):
        found(worker, vectors[0], k=0)
    assert found(worker, vectors[0], k=1) == ["0#0"]


def test_an_answer_larger_than_a_frame_is_an_error_that_says_what_helps(worker: RagWorker, vectors: Any) -> None:
    texts = [f"{number} {'tide ' * 400_000}" for number in range(34)]
    for number, text in enumerate(texts):
        worker.write(Document(id=f"{number}", hash=""), [text], vectors[number].tobytes())
    with pytest.raises(InvalidRequest, match="can't be sent") as caught:
        found(worker, vectors[0], k=34)
    assert caught.value.hint == "ask for fewer at once"
    assert found(worker, vectors[0], k=1) == ["0#0"]


def test_a_database_in_memory_is_gone_with_its_worker(vectors: Any) -> None:
    for _ in range(2):
        with RagWorker(None, SETTINGS) as worker:
            assert worker.ask("describe", place=PLACE).figures is None
            worker.ask("create", place=PLACE, model="mock:embed", dimension=DIMENSION)
            for number in range(20):
                put(worker, vectors, number)
            assert alike(found(worker, vectors[7]), nearest(vectors, vectors[7], list(range(20))))
            assert worker.ask("describe", place=PLACE).figures.index == "hnsw"


def test_what_a_search_needs_is_loaded_before_it_comes(path: Path, vectors: Any) -> None:
    def has(library: str) -> bool:
        return library in Path(f"/proc/{worker.pid}/maps").read_text()

    with RagWorker(path, IndexSettings(exact_limit=200, save_interval_s=3600)) as worker:
        worker.ask("create", place=PLACE, model="mock:embed", dimension=DIMENSION)
        for number in range(20):
            put(worker, vectors, number)
    with RagWorker(path, IndexSettings(exact_limit=200)) as worker:
        worker.ask("describe", place=PLACE)
        assert not has("_multiarray_umath")
        worker.ask("prepare", place=PLACE)
        assert has("_multiarray_umath")
        assert has("usearch/compiled")
        assert worker.ask("describe", place=PLACE).figures.memory_bytes > 0


def test_it_ends_with_the_pipe_and_saves_its_indexes(path: Path, vectors: Any) -> None:
    worker = RagWorker(path, IndexSettings(exact_limit=200, save_interval_s=3600))
    worker.ask("create", place=PLACE, model="mock:embed", dimension=DIMENSION)
    for number in range(20):
        put(worker, vectors, number)
    assert worker.close() == 0
    assert [one.name for one in (path.parent / "rag.indexes").glob("*.index*")] == ["1.index"]
