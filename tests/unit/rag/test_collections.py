"""Collections, asked as the worker is asked but in this process: places, writes, searches, and what is refused."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from benchmarks.clustered import clustered, questions
from llmspell_protocol.errors import Conflict, InvalidRequest, NotFound, OutOfMemory, StorageVersion, Unsupported
from llmspell_protocol.rag import embedding, ops
from llmspell_protocol.rag.documents import Chunk, Document
from llmspell_protocol.rag.places import Place
from llmspell_protocol.rag.settings import IndexSettings
from llmspell_rag.index.closeness import numpy, prepared
from tests.support.rag_room import DIMENSION, PLACE, Room, embedded

np = pytest.importorskip("numpy")


def room_vector(vector: Any) -> bytes:
    """The beginning of a vector as an index of cosines has it."""
    return bytes(prepared(vector[None, :], "cosine")[0, :4].tobytes())


@pytest.fixture(params=["file", "memory"])
def room(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Room]:
    made = Room(tmp_path / "rag.db" if request.param == "file" else None)
    yield made
    made.calls.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "rag.db"


WORDED = {
    "error": "The pump stops with ERR-4711 when the valve sticks.",
    "other": "The pump stops with ERR-4712 when the filter is full.",
    "numbers": "Errors between 4711 and 9000 belong to the ERR module.",
    "version": "Since v1.2.3 the valve may stay open.",
    "street": "Die Hauptstraße führt zum Hafen.",
    "japanese": "東京都の天気は晴れです",
    "syntax": 'Quotes " AND stars * NEAR( brackets',
}


@pytest.mark.parametrize(
    ("query", "first"),
    [
        ("ERR-4711", "error#0"),
        ("what does ERR-4711 mean?", "error#0"),
        ("err-4712", "other#0"),
        ("v1.2.3", "version#0"),
        ("hauptstrasse", "street#0"),
        ("HAFEN", "street#0"),
        ("fuhrt", "street#0"),
        ("東京の天気", "japanese#0"),
        ('") OR stars* NEAR(', "syntax#0"),
    ],
)
def test_words_find_the_passage_that_has_them(room: Room, query: str, first: str) -> None:
    for key, text in WORDED.items():
        room.write(key, [text])
    assert room.search(query)[0] == first


def test_what_no_word_of_the_question_stands_in_is_not_found(room: Room) -> None:
    room.write("error", [WORDED["error"]])
    assert room.search("elephants") == []
    assert room.search('"" ** () -') == []
    with pytest.raises(InvalidRequest, match="needs words"):
        room.search("  ")


def test_titles_and_sections_are_words_too(room: Room) -> None:
    room.write("a", ["High water comes twice a day."], title="Tides")
    room.write("b", ["Bread needs time."], title="Kitchen")
    assert room.search("tides") == ["a#0"]
    room.write("a", ["Gone."], title="Weather")
    assert room.search("tides") == []


def test_both_ways_are_fused_by_their_ranks(room: Room) -> None:
    for key, text in WORDED.items():
        room.write(key, [text])
    found = room.ask(
        "search", place=PLACE, query="ERR-4711", vector=embedded(WORDED["version"]).tobytes(), method="hybrid", k=7
    )
    ranks = {hit.document: (hit.by_words, hit.by_vectors) for hit in found.hits}
    assert ranks["error"][0] == 1
    assert ranks["version"] == (None, 1)
    worth = [sum(1 / (60 + one) for one in (hit.by_words, hit.by_vectors) if one) for hit in found.hits]
    assert worth == sorted(worth, reverse=True)
    scores = {hit.document: hit.score for hit in found.hits}
    assert scores["version"] == pytest.approx(1.0, abs=1e-4)
    assert all(0 <= one <= 1 for one in scores.values())
    assert found.exact
    assert found.model == "m"


def test_a_threshold_leaves_out_what_is_less_alike(room: Room) -> None:
    for key, text in WORDED.items():
        room.write(key, [text])
    given = {"vector": embedded(WORDED["version"]).tobytes(), "k": 7}
    for method in ("vectors", "hybrid"):
        assert room.search(WORDED["version"], method=method, threshold=0.99, **given) == ["version#0"]
        assert len(room.search(WORDED["version"], method=method, threshold=0.0, **given)) == 7
    with pytest.raises(InvalidRequest, match="threshold lies between 0 and 1"):
        room.search("x", threshold=1.5)


def test_diversity_passes_over_what_says_the_same(room: Room) -> None:
    same, near, other = np.eye(3, DIMENSION, dtype=np.float32)
    wanted = same + 0.6 * other
    room.write("a", ["one", "one again", "one more"], np.vstack([same, same + 0.01 * near, same + 0.02 * near]))
    room.write("b", ["two"], other[None, :])
    given = {"vector": wanted.tobytes(), "method": "vectors", "k": 2}
    assert [one.split("#")[0] for one in room.search("x", **given)] == ["a", "a"]
    assert [one.split("#")[0] for one in room.search("x", diversity=0.5, **given)] == ["a", "b"]


def test_metadata_are_equal_by_value_and_found_in_lists_and_maps(room: Room) -> None:
    room.write("a", ["tide"], metadata={"lang": "de", "page": 1, "tags": ["x", "y"], "at": {"port": "Emden"}})
    room.write(
        "b", ["tide"], metadata={"lang": "en", "page": True, "tags": [], "at": {"port": None}, "long": "x" * 999}
    )
    for wanted, ids in (
        ({"lang": "de"}, ["a#0"]),
        ({"lang": ["de", "en"]}, ["a#0", "b#0"]),
        ({"page": 1.0}, ["a#0"]),
        ({"page": True}, ["b#0"]),
        ({"tags": "x"}, ["a#0"]),
        ({"tags": ["y", "z"]}, ["a#0"]),
        ({"at": {"port": "Emden"}}, ["a#0"]),
        ({"at.port": None}, ["b#0"]),
        ({"long": "x" * 999}, ["b#0"]),
        ({"long": "x" * 998}, []),
        ({"lang": "de", "page": True}, []),
        ({"lang": []}, []),
        ({"nothing": 1}, []),
    ):
        assert sorted(room.search("tide", filter=wanted)) == ids
        assert sorted(room.search("x", vector=embedded("tide").tobytes(), method="vectors", filter=wanted)) == ids


def test_places_see_nothing_of_each_other_not_even_how_rare_a_word_is(room: Room) -> None:
    def score(place: Place) -> float:
        return float(room.ask("search", place=place, query="tide", method="words").hits[0].score)

    room.write("a", ["tide and moon"])
    room.write("b", ["moon"])
    alone = score(PLACE)
    for tenant in ("", "acme"):
        for owner in ("key", "other"):
            place = Place(owner=owner, tenant=tenant, collection="more")
            for number in range(5):
                room.write(str(number), ["tide"], place=place)
    assert score(PLACE) == alone
    assert room.search("tide") == ["a#0"]
    assert [one.place.collection for one in room.ask("places", owner="key", tenant="acme").places] == ["more"]
    assert len(room.ask("places", owner="key").places) == 3
    assert room.ask("stats", owner="other").documents == 10


def test_a_document_takes_the_place_of_the_one_with_its_id(room: Room) -> None:
    assert not room.write("a", ["one", "two"]).replaced
    done = room.write("a", ["three"], hash="other")
    assert (done.replaced, done.chunks, done.chunks_removed) == (True, 1, 2)
    assert room.search("one two three") == ["a#0"]
    known = room.ask("known", place=PLACE, ids=["a", "b"]).documents
    assert [(one.id, one.hash, one.chunks) for one in known] == [("a", "other", 1)]


def test_known_documents_are_named_by_id_by_source_and_by_folder(room: Room) -> None:
    for key, source in (("a", "/docs/a"), ("b", "/docs/sub/b"), ("c", "/docs2/c"), ("d", None)):
        room.write(key, ["x"], source=source)

    def ids(**fields: Any) -> list[str]:
        return [one.id for one in room.ask("known", place=PLACE, **fields).documents]

    assert ids(sources=["/docs/a", "/docs"]) == ["a"]
    assert ids(below=["/docs"]) == ["a", "b"]
    assert ids(below=["/docs/a"], ids=["d", "a"]) == ["a", "d"]
    page = room.ask("known", place=PLACE, below=["/docs", "/docs2"], ids=["d"], limit=3)
    assert ([one.id for one in page.documents], page.after) == (["a", "b", "c"], "c")
    page = room.ask("known", place=PLACE, below=["/docs", "/docs2"], ids=["d"], limit=3, after="c")
    assert ([one.id for one in page.documents], page.after) == (["d"], None)
    assert room.ask("delete", place=PLACE, sources=["/docs/"]).documents == 2
    assert [one.id for one in room.ask("list", place=PLACE).documents] == ["c", "d"]


def test_pages_of_documents_follow_each_other(room: Room) -> None:
    for key in "abcde":
        room.write(key, ["x"])
    page = room.ask("list", place=PLACE, limit=2)
    assert ([one.id for one in page.documents], page.after) == (["a", "b"], "b")
    page = room.ask("list", place=PLACE, limit=3, after="b")
    assert ([one.id for one in page.documents], page.after) == (["c", "d", "e"], None)


def test_a_vector_of_another_dimension_or_model_is_refused_with_both_named(room: Room) -> None:
    room.write("a", ["x"])
    with pytest.raises(Conflict, match=r"vectors of 16 dimensions \(model m\), not of 3 \(model n\)") as told:
        room.ask("create", place=PLACE, model="n", dimension=3)
    assert told.value.details == {"expected": 16, "dimension": 3, "model": "m"}
    with pytest.raises(Conflict, match=r"16 dimensions .* not of 3"):
        room.search("x", vector=bytes(12), method="vectors")
    with pytest.raises(Conflict, match="of the model m, not of n"):
        room.ask("begin", place=PLACE, write=2, model="n", dimension=16, document=Document(id="b", hash="h"))


def test_a_write_that_was_refused_can_only_be_aborted(room: Room) -> None:
    room.write("a", ["x"])
    room.ask("begin", place=PLACE, write=7, model="m", dimension=16, document=Document(id="a", hash="new"))
    chunk = Chunk(ordinal=0, text="y", start=0, end=1, tokens=1)
    for _ in range(2):
        with pytest.raises(InvalidRequest, match="need 64 bytes of vectors, not 60"):
            room.ask("add", write=7, chunks=[chunk], vectors=bytes(60))
    with pytest.raises(InvalidRequest, match="need 64 bytes"):
        room.ask("commit", write=7)
    room.ask("abort", write=7)
    with pytest.raises(InvalidRequest, match="write 7 is not open"):
        room.ask("commit", write=7)
    assert room.ask("known", place=PLACE, ids=["a"]).documents[0].hash == "h"


def test_what_has_expired_is_not_found_and_goes_with_the_next_look(room: Room) -> None:
    room.write("a", ["tide"], expires_at=1.0)
    room.write("b", ["tide"])
    assert room.search("tide") == ["b#0"]
    assert room.search("x", vector=embedded("tide").tobytes(), method="vectors") == ["b#0"]
    assert [one.id for one in room.ask("list", place=PLACE).documents] == ["b"]
    assert not room.ask("known", place=PLACE, ids=["a"]).documents
    assert room.ask("expire").documents == 1
    assert room.ask("describe", place=PLACE).figures.documents == 1


def test_a_place_with_a_ttl_goes_that_long_after_its_last_change(room: Room) -> None:
    short = Place(owner="key", collection="session_1")
    room.ask("create", place=short, model="m", dimension=DIMENSION, ttl_s=1e-9)
    assert room.ask("describe", place=short).figures is None
    room.ask("create", place=short, model="other", dimension=3, ttl_s=1e-9)
    assert not room.ask("places", owner="key").places
    room.ask("expire")
    long = room.ask("create", place=short, model="m", dimension=DIMENSION, ttl_s=1000).figures
    assert long.expires_at == pytest.approx(long.changed_at + 1000)
    with pytest.raises(InvalidRequest, match="more than 0 s"):
        room.ask("create", place=short, model="m", dimension=DIMENSION, ttl_s=0)


def test_limits_are_told_before_anything_is_written(path: Path) -> None:
    settings = IndexSettings(max_elements=3, max_documents=2, max_memory_bytes=10_000)
    room = Room(path, settings)
    room.write("a", ["one", "two"])
    with pytest.raises(Unsupported, match="would have 4 vectors, and 3 are allowed") as told:
        room.write("b", ["three", "four"])
    assert told.value.details == {"limit": 3, "needed": 4, "what": "vectors"}
    room.ask("abort", write=1)
    room.write("b", ["three"])
    with pytest.raises(Unsupported, match="3 documents, and 2 are allowed"):
        room.write("c", [])
    room.ask("abort", write=1)
    room.write("a", ["less"])
    assert room.ask("describe", place=PLACE).figures.chunks == 2
    room.calls.close()
    room = Room(path, IndexSettings(max_memory_bytes=600))
    with pytest.raises(OutOfMemory, match="MB are allowed") as full:
        room.write("d", [str(number) for number in range(20)])
    assert full.value.details["budget_bytes"] == 600
    assert full.value.hint is not None
    assert room.search("less") == ["a#0"]
    room.calls.close()


def test_embeddings_are_kept_by_hash_for_each_tenant_and_the_oldest_go(path: Path) -> None:
    room = Room(path, IndexSettings(cached_embeddings=3, cache_ttl_s=1000))
    mine, other = Place(owner="key", tenant="a"), Place(owner="key", tenant="b")
    vectors = np.arange(8, dtype="<f4").reshape(4, 2)
    about = {"model": "m", "dimension": 2}
    room.ask("keep_vectors", place=mine, hashes=["1", "2"], vectors=vectors[:2].tobytes(), **about)
    assert not room.ask("vectors_of", place=other, hashes=["1"], **about).hashes
    found = room.ask("vectors_of", place=mine, hashes=["2", "9", "1"], **about)
    assert list(found.hashes) == ["2", "1"]
    assert found.vectors == vectors[[1, 0]].tobytes()
    assert not room.ask("vectors_of", place=mine, hashes=["1"], model="n", dimension=2).hashes
    for hash in ("3", "4"):
        room.ask("keep_vectors", place=mine, hashes=[hash], vectors=vectors[:1].tobytes(), **about)
    assert room.ask("stats", owner="key").embeddings == 3
    assert {"3", "4"} <= set(room.ask("vectors_of", place=mine, hashes=["1", "2", "3", "4"], **about).hashes)
    room.calls.close()


def test_a_place_is_embedded_anew_beside_its_searches_and_switched_when_all_is_there(room: Room) -> None:
    room.write("a", ["tide", "moon"])
    room.write("b", ["salt"])
    assert room.ask("replace_begin", place=PLACE, model="n", dimension=2) == embedding.ReplaceBegun(done=0, total=3)
    page = room.ask("texts", place=PLACE, limit=2, lacking=True)
    assert ([one.text for one in page.chunks], page.remaining) == (["tide", "moon"], 3)
    numbers = [one.number for one in page.chunks]
    vectors = np.array([[1, 0], [0, 1], [1, 1]], "<f4")
    with pytest.raises(InvalidRequest, match="2 vectors of 2 dimensions have 16 bytes, not 8"):
        room.ask("replace_vectors", place=PLACE, numbers=numbers, vectors=vectors[:1].tobytes())
    room.ask("replace_vectors", place=PLACE, numbers=numbers, vectors=vectors[:2].tobytes())
    assert room.ask("replace_commit", place=PLACE).lacking == 1
    room.write("c", ["harbour"])  # with the old model, meanwhile
    assert room.search("x", vector=embedded("tide").tobytes(), method="vectors")[0] == "a#0"
    # An interrupted one goes on.
    assert room.ask("replace_begin", place=PLACE, model="n", dimension=2) == embedding.ReplaceBegun(done=2, total=4)
    page = room.ask("texts", place=PLACE, lacking=True, after=0)
    assert [one.text for one in page.chunks] == ["salt", "harbour"]
    numbers = [one.number for one in page.chunks]
    room.ask("replace_vectors", place=PLACE, numbers=numbers, vectors=vectors[[2, 2]].tobytes())
    assert room.ask("replace_commit", place=PLACE).lacking == 0
    figures = room.ask("describe", place=PLACE).figures
    assert (figures.model, figures.dimension, figures.chunks) == ("n", 2, 4)
    assert room.search("x", vector=vectors[1].tobytes(), method="vectors", k=1) == ["a#1"]
    with pytest.raises(NotFound, match="not being embedded"):
        room.ask("replace_commit", place=PLACE)


def test_clearing_and_deleting_give_room_back_to_the_disk(path: Path) -> None:
    room = Room(path, IndexSettings(exact_limit=100))
    vectors = np.vstack(list(clustered(600, DIMENSION)))
    for at in range(6):
        texts = [f"{at} {number} " + "tide " * 200 for number in range(100)]
        room.write(str(at), texts, vectors[at * 100 : at * 100 + 100])
    while room.calls.indexes.work():
        pass
    room.ask("save")

    def size() -> int:
        room.calls.store.shrink()
        return sum(one.stat().st_size for one in path.parent.rglob("*") if not one.name.endswith("-shm"))

    before = size()
    freed = room.ask("delete", place=PLACE, ids=["0", "1", "2"]).bytes_freed
    assert freed == before - size() > 300_000
    before = size()
    gone = room.ask("clear", place=PLACE)
    assert (gone.documents, gone.chunks) == (3, 300)
    assert gone.bytes_freed == before - size() > 300_000
    assert list((path.parent / "rag.indexes").glob("*.index")) == []
    assert room.ask("clear", place=PLACE) == ops.Deleted(documents=0, chunks=0, bytes_freed=0)
    room.calls.close()


def test_what_a_log_gives_back_is_not_told_of_a_removal(path: Path) -> None:
    room = Room(path)
    room.write("small", ["Bread needs time."])
    room.write("large", [f"{number} " + "tide " * 200 for number in range(400)])
    assert path.with_name("rag.db-wal").stat().st_size > 500_000
    assert room.ask("delete", place=PLACE, ids=["small"]).bytes_freed <= 16_384
    room.calls.close()


def test_a_graph_is_saved_mapped_and_not_read_at_the_next_start(path: Path) -> None:
    settings = IndexSettings(exact_limit=100)
    room = Room(path, settings)
    vectors = np.vstack(list(clustered(500, DIMENSION)))
    room.write("a", [str(number) for number in range(500)], vectors)
    while room.calls.indexes.work():
        pass
    room.ask("save")
    asked = [{"query": "x", "vector": one.tobytes(), "method": "vectors"} for one in questions(5, DIMENSION)]
    expected = [room.search(**one) for one in asked]
    room.calls.close()
    room = Room(path, settings)
    assert [room.search(**one) for one in asked] == expected
    (entry,) = room.calls.indexes.open_entries
    assert entry.layers.graph is not None
    assert entry.layers.graph.is_mapped
    assert entry.layers.is_graph_whole
    figures = room.ask("describe", place=PLACE).figures
    assert figures.index == "hnsw"
    assert figures.index_bytes > 500 * DIMENSION * 4
    room.calls.indexes.check()
    assert not room.calls.indexes.has_unchecked
    room.calls.close()


@pytest.mark.parametrize(
    ("way", "why"),
    [
        ("missing", "is missing"),
        ("cut", "was damaged"),
        ("noise", "was damaged"),
        ("content", None),
        ("older", None),
        ("backup", "of a later state"),
        ("other", None),
    ],
)
def test_an_index_that_is_not_of_the_database_is_made_again_and_told(path: Path, way: str, why: str | None) -> None:
    settings = IndexSettings(exact_limit=100, ef_search=500, num_threads=1)
    room = Room(path, settings)
    vectors = np.vstack(list(clustered(500, DIMENSION)))
    room.write("a", [str(number) for number in range(300)], vectors[:300])
    while room.calls.indexes.work():
        pass
    room.ask("save")
    file = path.parent / "rag.indexes" / "1.index"
    early = file.read_bytes()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("VACUUM INTO ?", (str(path.with_name("early.db")),))
    room.write("b", [str(number) for number in range(200)], vectors[300:])
    room.write("a", ["0"], vectors[:1])
    while room.calls.indexes.work():
        pass
    room.ask("save")
    room.calls.close()
    whole = file.read_bytes()
    left = [0, *range(300, 500)]
    match way:
        case "missing":
            file.unlink()
        case "cut":
            file.write_bytes(whole[:10_000])
        case "noise":
            file.write_bytes(bytes(range(256)) * 200)
        case "content":  # and the process that looked at it last has not come to its end
            file.write_bytes(whole[:20_000] + bytes([whole[20_000] ^ 1]) + whole[20_001:])
            file.with_name("1.index.999999999.unchecked").touch()
            why = "was damaged"
        case "older":
            file.write_bytes(early)
        case "backup":
            for ending in ("-wal", "-shm"):
                path.with_name(path.name + ending).unlink(missing_ok=True)
            path.with_name("early.db").replace(path)
            left = list(range(300))
        case "other":  # another database of the same name
            with closing(sqlite3.connect(path, isolation_level=None)) as connection:
                connection.execute("UPDATE about SET database = 'other'")
    room = Room(path, settings)
    for wanted in questions(5, DIMENSION):
        found = room.ask("search", place=PLACE, query="x", vector=wanted.tobytes(), method="vectors", k=10)
        order = sorted(left, key=lambda at: -float(vectors[at] @ wanted))[:10]
        names = {at: f"a#{at}" if at < 300 else f"b#{at - 300}" for at in left}
        assert [hit.id for hit in found.hits] == [names[at] for at in order]
        if why is None:
            assert list(found.warnings) == []
        else:
            (warning,) = found.warnings
            assert why in warning
            assert "made again from the database" in warning
            why = None  # told once
    room.calls.close()


def test_the_content_of_a_mapped_file_is_checked_in_idle_time(path: Path) -> None:
    settings = IndexSettings(exact_limit=100, quantization="f32")
    room = Room(path, settings)
    vectors = np.vstack(list(clustered(300, DIMENSION)))
    room.write("a", [str(number) for number in range(300)], vectors)
    while room.calls.indexes.work():
        pass
    room.ask("save")
    room.calls.close()
    file = path.parent / "rag.indexes" / "1.index"
    whole = bytearray(file.read_bytes())
    first = room_vector(vectors[10])
    at = whole.index(first)  # a number of a vector: nothing that could lead astray
    whole[at] ^= 0xFF
    file.write_bytes(whole)
    room = Room(path, settings)
    room.search("x", vector=vectors[0].tobytes(), method="vectors")
    room.calls.indexes.check()
    assert not file.exists()
    found = room.ask("search", place=PLACE, query="x", vector=vectors[10].tobytes(), method="vectors")
    assert found.hits[0].id == "a#10"
    assert "is missing" in found.warnings[0]
    room.calls.close()


def test_a_database_of_a_later_version_is_refused(path: Path) -> None:
    Room(path).calls.close()
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(StorageVersion) as told:
        Room(path)
    assert told.value.details["version"] == 99


def test_a_commit_may_be_overtaken_by_what_another_kernel_saves(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = IndexSettings(exact_limit=2, num_threads=1)
    ours, theirs = Room(path, settings), Room(path, settings)
    indexes = ours.calls.indexes
    open_index = indexes.of

    def overtaken(*asked: Any) -> Any:
        monkeypatch.undo()
        theirs.write("b", ["moon", "sun"])
        while theirs.calls.indexes.work():
            pass
        theirs.ask("save")
        return open_index(*asked)

    monkeypatch.setattr(indexes, "of", overtaken)
    assert ours.write("a", ["tide", "salt"]).chunks == 2
    assert ours.search("", method="vectors", vector=embedded("moon").tobytes(), k=1) == ["b#0"]
    ours.calls.close()
    theirs.calls.close()


def test_without_the_library_words_are_found_and_vectors_say_what_is_missing(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = Room(path)
    room.write("a", ["tide"])
    room.calls.close()
    import sys

    monkeypatch.setitem(sys.modules, "usearch.compiled", None)
    monkeypatch.setitem(sys.modules, "numpy", None)
    numpy.cache_clear()
    room = Room(path)
    assert room.search("tide") == ["a#0"]
    assert room.search("tide", filter={"x": 1}) == []
    with pytest.raises(Unsupported, match="numpy, which is not installed") as told:
        room.search("tide", method="vectors", vector=bytes(64))
    assert "[rag]" in str(told.value.hint)
    with pytest.raises(Unsupported, match="numpy"):
        room.ask("prepare", place=PLACE)
    numpy.cache_clear()
    room.calls.close()


def test_settings_that_can_not_be_are_refused(path: Path) -> None:
    with pytest.raises(InvalidRequest, match="metric euclidean needs"):
        Room(path, IndexSettings(quantization="i8", metric="euclidean"))
    with pytest.raises(InvalidRequest, match="m is at least 1"):
        Room(path, IndexSettings(m=0))


def test_what_stood_above_the_graph_when_it_was_saved_is_found_after_a_restart(path: Path) -> None:
    settings = IndexSettings(exact_limit=100)
    room = Room(path, settings)
    vectors = np.vstack(list(clustered(170, DIMENSION)))
    room.write("a", [str(number) for number in range(140)], vectors[:140])
    room.write("b", [str(number) for number in range(20)], vectors[140:160])
    while room.calls.indexes.work():
        pass
    room.write("c", [str(number) for number in range(10)], vectors[160:])
    room.ask("delete", place=PLACE, ids=["b"])
    room.ask("save")
    room.calls.close()
    left = path.parent / "rag.indexes" / "1.index.999999999.part"
    left.touch()  # of a process that was ended
    room = Room(path, settings)
    for number in range(10):
        found = room.search("x", vector=vectors[160 + number].tobytes(), method="vectors", k=1)
        assert found == [f"c#{number}"]
    room.write("c", ["changed"], vectors[:1])
    room.calls.close()


def test_words_that_stand_everywhere_are_passed_over_where_others_are_asked_for_too(path: Path) -> None:
    room = Room(path)
    texts = [f"the tide of port{number}" for number in range(1200)]
    room.write("a", texts, np.zeros((1200, DIMENSION)))
    assert room.search("the tide of port77") == ["a#77"]
    assert len(room.search("the tide of")) == 5
    room.calls.close()
