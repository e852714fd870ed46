"""`rag_request` over a real kernel: documents in, passages and answers out, with the mock backend's embedder."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from llmspell_protocol.errors import Cancelled, ConfigError, InvalidRequest, LlmspellError, NotFound, Unsupported
from tests.support.rag_kernel import SETTINGS, Rag, rag_kernel

TIDES = "High water comes twice a day. The moon pulls the sea."
BREAD = "Bread needs flour, water, salt and yeast. The dough rests for an hour."
TRAINS = "Trains leave the station at noon. Tickets are sold at the counter."


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rag]:
    with rag_kernel(tmp_path_factory.mktemp("rag")) as rag:
        yield rag


@pytest.fixture
def rag(kernel: Rag) -> Rag:
    """The kernel that all share, with nothing in the place `default`."""
    kernel("clear")
    return kernel


@pytest.fixture(autouse=True)
def _nothing_stays_behind() -> None:
    """The tests share a kernel, which keeps its workers."""


# Taking in


def test_documents_are_taken_in_and_found_by_words_and_by_vectors(rag: Rag) -> None:
    reply = rag.texts(TIDES, BREAD, TRAINS)
    assert (reply["ids"], reply["added"], reply["unchanged"], reply["failed"]) == (["t0", "t1", "t2"], 3, 0, [])
    assert (reply["chunks"], reply["vectors"], reply["model"], reply["dimension"]) == (3, 3, "mock/embed@mock", 32)
    assert reply["tokens"] > 20
    for method in ("hybrid", "vectors", "words"):
        assert rag.found("when do trains leave the station", method=method)[0] == "t2"


def test_what_is_unchanged_costs_a_look_and_what_has_changed_takes_the_place_of_the_old(rag: Rag) -> None:
    rag.texts(TIDES, BREAD)
    again = rag.texts(TIDES, TRAINS)
    assert (again["added"], again["changed"], again["unchanged"], again["ids"]) == (0, 1, 1, ["t0", "t1"])
    assert rag.found("flour yeast dough", method="words") == []
    assert rag("list")["count"] == 2


def test_force_takes_in_what_is_unchanged_and_the_cache_has_its_vectors(rag: Rag) -> None:
    rag.texts(TIDES)
    again = rag.texts(TIDES, force=True)
    assert (again["changed"], again["chunks"], again["vectors"]) == (1, 1, 0)


def test_other_metadata_or_a_title_are_a_change(rag: Rag) -> None:
    rag.texts(TIDES)
    assert rag.texts(TIDES, metadata={"kind": "sea"})["changed"] == 1
    assert rag("search", query="moon")["hits"][0]["metadata"] == {"kind": "sea"}


def test_files_of_a_directory_are_taken_in_and_follow_it(rag: Rag, tmp_path: Path) -> None:
    (tmp_path / "sea").mkdir()
    (tmp_path / "sea" / "tides.md").write_text(f"# Tides\n\n{TIDES}\n")
    (tmp_path / "bread.txt").write_text(BREAD)
    (tmp_path / "photo.png").write_bytes(b"\x89PNG\r\n\x1a\n\0\0")
    first = rag("ingest", paths=[str(tmp_path)])
    assert first["ids"] == [f"{tmp_path}/bread.txt", f"{tmp_path}/sea/tides.md"]
    hit = rag("search", query="moon pulls the sea", method="words")["hits"][0]
    assert (hit["source"], hit["section"]) == (f"{tmp_path}/sea/tides.md", "Tides")
    assert hit["text"] in (tmp_path / "sea" / "tides.md").read_text()
    (tmp_path / "bread.txt").unlink()
    (tmp_path / "trains.txt").write_text(TRAINS)
    second = rag("ingest", paths=[str(tmp_path)])
    assert (second["added"], second["unchanged"], second["removed"]) == (1, 1, 1)
    assert [one["source"] for one in rag("list")["documents"]] == second["ids"]


def test_without_sync_documents_whose_files_are_gone_stay(rag: Rag, tmp_path: Path) -> None:
    file = tmp_path / "bread.txt"
    file.write_text(BREAD)
    rag("ingest", paths=[str(tmp_path)])
    file.unlink()
    assert rag("ingest", paths=[str(tmp_path)], sync=False)["removed"] == 0
    assert rag("list")["count"] == 1
    assert rag("ingest", paths=[str(tmp_path)])["removed"] == 1


def test_globs_say_which_files(rag: Rag, tmp_path: Path) -> None:
    for name in ("a.md", "b.txt", "c.md"):
        (tmp_path / name).write_text(TIDES)
    reply = rag("ingest", paths=[str(tmp_path)], include=["*.md"], exclude=["c.*"])
    assert reply["ids"] == [f"{tmp_path}/a.md"]


def test_a_document_that_can_not_be_read_is_told_and_the_others_are_there(rag: Rag, tmp_path: Path) -> None:
    (tmp_path / "damaged.pdf").write_bytes(b"%PDF-1.7\nnot at all")
    (tmp_path / "bread.txt").write_text(BREAD)
    progress, reply = rag.told("ingest", paths=[str(tmp_path)])
    assert reply["ids"] == [f"{tmp_path}/bread.txt"]
    (problem,) = reply["failed"]
    assert problem["source"] == f"{tmp_path}/damaged.pdf"
    assert any("damaged.pdf" in (one["warning"] or "") for one in progress)


def test_a_path_that_is_not_there_is_an_error(rag: Rag, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="there is no file or directory"):
        rag("ingest", paths=[f"{tmp_path}/missing"])


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"documents": [{"text": "  "}]},
        {"paths": ["relative"]},
        {"documents": [{"text": "x"}], "chunking": {"chunk_size": 0}},
        {"documents": [{"text": "x"}], "chunking": {"chunk_size": 100, "overlap": 100}},
        {"documents": [{"text": "x"}], "ttl_s": 0},
    ],
)
def test_what_makes_no_ingest_is_refused(rag: Rag, fields: dict[str, object]) -> None:
    with pytest.raises(InvalidRequest):
        rag("ingest", **fields)


def test_chunks_are_as_long_as_is_wanted_in_tokens_of_the_model(rag: Rag) -> None:
    text = " ".join(f"Sentence number {number} is here." for number in range(200))
    reply = rag.texts(text, chunking={"strategy": "sentence", "chunk_size": 100, "overlap": 0})
    assert reply["chunks"] > 8
    hits = rag("search", query="sentence number", k=100)["hits"]
    assert all(0 < hit["tokens"] <= 100 for hit in hits)
    assert all(text[hit["start"] : hit["end"]] == hit["text"] for hit in hits)


def test_progress_is_told_with_stages_and_counts(rag: Rag) -> None:
    documents = [{"text": f"{TIDES} {number}", "id": f"d{number}"} for number in range(50)]
    progress, reply = rag.told("ingest", documents=documents)
    assert reply["added"] == 50
    assert progress[0]["stage"] == "looking"
    assert {"embedding", "writing"} & {one["stage"] for one in progress}
    assert {one["documents"] for one in progress} <= {None, 50}
    silent, _ = rag.told("ingest", documents=documents, progress=False)
    assert silent == []


def test_what_is_in_memory_twice_is_kept_once(rag: Rag) -> None:
    reply = rag("ingest", documents=[{"text": TIDES}, {"text": TIDES}])
    assert len(reply["ids"]) == 1


# Finding


def test_a_filter_is_metadata_that_must_be_equal_and_a_list_is_any_of_it(rag: Rag) -> None:
    for number, kind in enumerate(("a", "b", "c")):
        rag("ingest", documents=[{"text": TIDES, "id": f"d{number}", "metadata": {"kind": kind}}])
    assert rag.found("moon", filter={"kind": "b"}) == ["d1"]
    assert sorted(rag.found("moon", filter={"kind": ["a", "c"]})) == ["d0", "d2"]
    assert rag.found("moon", filter={"kind": "z"}) == []


def test_k_and_threshold_limit_what_is_found(rag: Rag) -> None:
    rag.texts(TIDES, BREAD, TRAINS)
    assert len(rag.found("water", k=2, method="vectors")) == 2
    assert rag.found(TIDES, method="vectors", threshold=0.99) == ["t0"]
    with pytest.raises(InvalidRequest, match="k must be a positive integer"):
        rag.found("water", k=0)
    with pytest.raises(InvalidRequest, match="query must not be empty"):
        rag.found("  ")


def test_a_reranker_orders_what_was_found(rag: Rag) -> None:
    rag.texts(TIDES, BREAD, TRAINS)
    reply = rag("search", query="tickets counter", rerank="mock/rank", k=2)
    assert reply["hits"][0]["document"] == "t2"
    assert reply["hits"][0]["score"] == 1.0
    assert len(reply["hits"]) == 2


def test_an_empty_place_gives_nothing_and_says_so(rag: Rag) -> None:
    reply = rag("search", query="moon", collection="no-such-collection")
    assert reply["count"] == 0
    assert reply["warnings"] == ["there is no collection 'no-such-collection': llmspell rag ingest makes one"]


def test_a_search_that_is_asked_again_sees_what_has_changed(rag: Rag) -> None:
    rag.texts(TIDES)
    assert rag.found("bread flour", method="words") == []
    rag.texts(TIDES, BREAD)
    assert rag.found("bread flour", method="words") == ["t1"]
    rag("delete", ids=["t1"])
    assert rag.found("bread flour", method="words") == []


# Places


def test_places_see_nothing_of_each_other(rag: Rag) -> None:
    rag.texts(TIDES, collection="one")
    rag.texts(BREAD, scope="user", scope_id="ada")
    rag.texts(TRAINS, tenant="acme")
    assert rag.found("water moon flour trains", k=10) == []
    assert rag.found("water", collection="one") == ["t0"]
    assert rag("search", query="water", collection="user_ada")["hits"][0]["text"] == BREAD
    assert rag("search", query="water", tenant="acme")["hits"][0]["text"] == TRAINS
    names = {(one["tenant"], one["collection"]) for one in rag("collections")["collections"]}
    assert {(None, "one"), (None, "user_ada"), ("acme", "default")} <= names
    assert {one["tenant"] for one in rag("collections", tenant="acme")["collections"]} == {"acme"}
    for place in ({"collection": "one"}, {"collection": "user_ada"}, {"tenant": "acme"}):
        rag("clear", **place)


def test_documents_go_by_id_by_source_and_by_metadata(rag: Rag, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(TIDES)
    rag("ingest", paths=[str(tmp_path)])
    rag("ingest", documents=[{"text": BREAD, "id": "b", "metadata": {"kind": "food"}}, {"text": TRAINS, "id": "c"}])
    assert rag("delete", sources=[str(tmp_path)])["documents"] == 1
    assert rag("delete", filter={"kind": "food"})["documents"] == 1
    assert rag("delete", ids=["c", "no-such"])["documents"] == 1
    with pytest.raises(InvalidRequest, match="nothing to delete"):
        rag("delete")


def test_documents_are_listed_in_pages(rag: Rag) -> None:
    rag.texts(TIDES, BREAD, TRAINS)
    first = rag("list", limit=2)
    assert ([one["id"] for one in first["documents"]], first["after"]) == (["t0", "t1"], "t1")
    second = rag("list", limit=2, after="t1")
    assert ([one["id"] for one in second["documents"]], second["after"]) == (["t2"], None)
    assert first["documents"][0]["characters"] == len(TIDES)


def test_counts_are_of_a_place_or_of_all(rag: Rag) -> None:
    rag.texts(TIDES, collection="counted")
    stats = rag("stats", collection="counted")
    assert (stats["documents"], stats["chunks"], stats["vectors"]) == (1, 1, 1)
    assert stats["bytes"] > 0
    everything = rag("stats")
    assert everything["collections"] >= 1
    assert everything["embeddings"] > 0
    assert rag("save")["documents"] == everything["documents"]
    rag("clear", collection="counted")


def test_a_place_is_made_before_anything_is_in_it(rag: Rag) -> None:
    made = rag("create", collection="new", ttl_s=3600)
    assert (made["collection"], made["documents"], made["model"], made["dimension"]) == (
        "new",
        0,
        "mock/embed@mock",
        32,
    )
    assert made["expires_at"] is not None
    rag("clear", collection="new")


def test_what_has_expired_is_not_found(rag: Rag) -> None:
    rag.texts(TIDES, ttl_s=0.001)
    assert rag.found("moon") == []


# Models


def test_another_model_is_told_and_embeds_everything_again(rag: Rag) -> None:
    rag.texts(TIDES, BREAD)
    progress, reply = rag.told("ingest", documents=[{"text": TRAINS, "id": "t2"}], model="mock/other")
    assert reply["model"] == "mock/other@mock"
    assert reply["warnings"] == [
        "collection 'default' has vectors of mock/embed@mock: all 2 passages are embedded again by mock/other@mock"
    ]
    assert any(one["warning"] for one in progress)
    assert rag("model")["model"] == "mock/other@mock"
    assert rag.found("trains leave", method="vectors")[0] == "t2"


def test_a_provider_is_for_new_places_alone(rag: Rag) -> None:
    rag.texts(TIDES)
    assert rag.texts(TIDES, BREAD, provider="openai")["model"] == "mock/embed@mock"
    with pytest.raises(ConfigError, match="openai"):
        rag.texts(TIDES, provider="openai", collection="new")


def test_a_rebuild_makes_the_index_anew_and_with_a_model_the_vectors(rag: Rag) -> None:
    rag.texts(TIDES, BREAD)
    plain = rag("rebuild")
    assert (plain["chunks"], plain["vectors"], plain["model"]) == (2, 0, "mock/embed@mock")
    other = rag("rebuild", model="mock/other")
    assert (other["vectors"], other["model"], other["dimension"]) == (2, "mock/other@mock", 32)
    with pytest.raises(NotFound, match="there is no collection 'nowhere'"):
        rag("rebuild", collection="nowhere")


def test_a_model_that_is_not_there_is_an_error_and_nothing_was_written(rag: Rag) -> None:
    with pytest.raises(LlmspellError) as missing:
        rag.texts(TIDES, model="no-such-model@candle")
    assert missing.value.code in ("model_not_found", "backend_not_configured")
    assert rag("list")["count"] == 0


# Answers


def test_an_answer_is_from_passages_that_it_names(rag: Rag) -> None:
    rag.texts(TIDES, BREAD)
    reply = rag("ask", query="moon pulls the sea", chat_model="mock/chat", k=2)
    assert reply["found"] is True
    assert reply["answer"].startswith("[mock/chat] Passages:")
    assert [one["number"] for one in reply["citations"]] == [1, 2]
    assert reply["citations"][0]["cited"] is True
    assert reply["citations"][0]["hit"]["document"] == "t0"
    assert (reply["left_out"], reply["chat_model"]) == (0, "mock/chat")
    assert reply["usage"]["completion_tokens"] > 0


def test_an_answer_streams(rag: Rag) -> None:
    rag.texts(TIDES)
    pending = rag.client.request("rag_request", {"action": "ask", "query": "moon", "chat_model": "mock/chat"})
    pieces = [event.content["text"] for event in pending if hasattr(event, "content") and "text" in event.content]
    assert "".join(pieces) == pending.result().content["answer"]
    quiet = {"action": "ask", "query": "moon", "chat_model": "mock/chat", "stream": False, "progress": False}
    assert list(rag.client.request("rag_request", quiet))[:-1] == []


def test_without_a_passage_no_model_is_asked(rag: Rag) -> None:
    nothing = rag("ask", query="moon", chat_model="no-such-model@candle")
    assert (nothing["found"], nothing["answer"], nothing["citations"]) == (False, None, [])
    rag.texts(BREAD)
    far = rag("ask", query="moon", threshold=1.0, method="vectors", chat_model="no-such-model@candle")
    assert (far["found"], far["chat_model"]) == (False, None)


# Ends


def test_an_ingest_that_is_cancelled_leaves_whole_documents_and_goes_on_when_asked_again(rag: Rag) -> None:
    text = " ".join(f"Sentence {number} about the sea." for number in range(400))
    documents = [{"text": f"{text} {number}", "id": f"d{number:03}"} for number in range(60)]
    pending = rag.client.request("rag_request", {"action": "ingest", "documents": documents})
    for event in pending:
        if getattr(event, "content", {}).get("documents_done", 0) >= 1:
            pending.cancel()
            break
    with pytest.raises(Cancelled):
        pending.result()
    there = rag("list")["documents"]
    assert 0 < len(there) < 60
    assert len({one["chunks"] for one in there}) == 1
    again = rag("ingest", documents=documents)
    assert (again["unchanged"], again["added"]) == (len(there), 60 - len(there))


def test_two_ingests_of_one_place_at_a_time_are_both_there(kernel: Rag, rag: Rag) -> None:
    def take(name: str) -> None:
        with rag.kernel.client() as client:
            documents = [{"text": f"{TIDES} {name} {number}", "id": f"{name}{number}"} for number in range(20)]
            client.request("rag_request", {"action": "ingest", "documents": documents}).result()

    threads = [threading.Thread(target=take, args=(name,)) for name in ("a", "b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert rag("stats", collection="default")["documents"] == 40


def test_the_workers_memory_is_in_the_kernels_status(rag: Rag) -> None:
    rag.texts(TIDES)
    status = rag.client.request("kernel_request", {"action": "status"}).result().content["rag"]
    assert status["pid"] > 0
    assert status["memory_bytes"] > 1_000_000
    assert status["path"].endswith("/rag/rag.db")
    assert status["healthy"] is None


# Kernels one after the other


def test_documents_outlive_the_kernel(tmp_path: Path) -> None:
    with rag_kernel(tmp_path / "home") as first:
        first.texts(TIDES)
    with rag_kernel(tmp_path / "home") as second:
        assert second.found("moon") == ["t0"]
        assert second.texts(TIDES)["unchanged"] == 1


def test_in_memory_nothing_outlives_the_kernel(tmp_path: Path) -> None:
    settings = SETTINGS + '[rag.vector_storage]\npersistence_path = ":memory:"\n'
    with rag_kernel(tmp_path / "home", settings) as first:
        first.texts(TIDES)
        assert first("collections")["path"] is None
        assert first.found("moon") == ["t0"]
    assert not (tmp_path / "home" / "rag").exists()


def test_clients_work_without_rag_enabled_and_not_where_it_is_switched_off(tmp_path: Path) -> None:
    with rag_kernel(tmp_path / "one", '[models]\nembedding = "mock/embed"\n') as rag:
        assert rag.texts(TIDES)["added"] == 1
        assert rag.ran("return RAG == nil") is True
    off = "[rag]\nenabled = false\n"
    with rag_kernel(tmp_path / "two", off) as rag, pytest.raises(ConfigError, match="RAG not configured"):
        rag("stats")


def test_without_a_model_for_vectors_what_to_pull_is_said(tmp_path: Path) -> None:
    told = "no model that makes vectors is installed"
    with rag_kernel(tmp_path / "home", "") as rag, pytest.raises(ConfigError, match=told) as missing:
        rag.texts(TIDES)
    assert missing.value.hint is not None
    assert missing.value.hint.startswith("llmspell model pull ")


def test_an_audit_log_has_every_operation_and_no_content(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    settings = SETTINGS + f'[rag.security]\nenable_audit_logging = true\naudit_log_path = "{path}"\n'
    with rag_kernel(tmp_path / "home", settings) as rag:
        rag.texts(TIDES)
        rag.found("moon")
        with pytest.raises(InvalidRequest):
            rag("delete")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(line["action"], line["outcome"]) for line in lines] == [
        ("ingest", "ok"),
        ("search", "ok"),
        ("delete", "invalid_request"),
    ]
    assert lines[0]["documents"] == 1
    assert "moon" not in path.read_text()


def test_a_model_that_chats_alone_makes_no_vectors(rag: Rag) -> None:
    with pytest.raises((Unsupported, LlmspellError)):
        rag.texts(TIDES, model="anthropic/claude-3-haiku")
