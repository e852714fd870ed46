"""`kernel.rag`: documents that a program takes in, finds again and has a model answer from, over a real kernel."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from llmspell import Kernel, RagAnswer, Step, connect, connect_async
from llmspell_protocol.areas.rag import RagChunking, RagDocument, RagProgress
from llmspell_protocol.errors import InvalidRequest, ModelNotFound, NotFound

pytestmark = pytest.mark.usefixtures("at_home")

EMBEDDER = "mock/embed"


def _ingest_texts(kernel: Kernel, collection: str) -> None:
    kernel.rag.ingest(
        documents=[
            "Bees make honey from nectar.",
            {"text": "High water comes twice a day.", "id": "tides", "metadata": {"topic": "sea"}},
            RagDocument(text="A night costs two euros.", id="fees", metadata={"topic": "money"}),
        ],
        collection=collection,
        model=EMBEDDER,
    )


def test_texts_are_taken_in_and_found_by_words_and_by_metadata() -> None:
    with connect("shared") as kernel:
        _ingest_texts(kernel, "texts")
        (hit,) = kernel.rag.search("high water", k=1, collection="texts", method="words").hits
        assert (hit.document, hit.text, dict(hit.metadata)) == (
            "tides",
            "High water comes twice a day.",
            {"topic": "sea"},
        )
        found = kernel.rag.search("anything", collection="texts", filter={"topic": ["money"]}).hits
        assert [one.document for one in found] == ["fees"]


def test_a_directory_is_given_relative_to_the_program_and_unchanged_the_second_time(at_home: Path) -> None:
    notes = at_home / "notes"
    notes.mkdir(exist_ok=True)
    (notes / "gate.md").write_text("# Gate\n\nIt opens at noon.\n")
    (notes / "crane.txt").write_text("The crane is repaired.\n")
    with connect("shared") as kernel:
        small = RagChunking(chunk_size=50, overlap=0)
        first = kernel.rag.ingest("notes", collection="notes", model=EMBEDDER, chunking=small)
        assert (first.added, first.failed) == (2, ())
        again = kernel.rag.ingest(Path("notes"), collection="notes", chunking=small)
        assert (again.added, again.unchanged) == (0, 2)
        assert [one.title for one in kernel.rag.list(collection="notes")] == [None, "Gate"]
        assert kernel.rag.delete(sources=["notes/gate.md"], collection="notes").documents == 1
        assert kernel.rag.stats(collection="notes").documents == 1


def test_an_answer_has_its_passages_and_streams() -> None:
    with connect("shared") as kernel:
        _ingest_texts(kernel, "answers")
        answer = kernel.rag.ask("When is high water?", k=2, model="mock/a", collection="answers")
        assert isinstance(answer, RagAnswer)
        assert answer.found
        assert str(answer) == answer.text == answer.answer != ""
        assert [one.number for one in answer.citations] == [1, 2]
        reply = kernel.rag.stream("When is high water?", k=2, model="mock/a", collection="answers")
        assert "".join(reply) == reply.result().text == answer.text


def test_a_question_that_nothing_fits_is_answered_by_no_model() -> None:
    with connect("shared") as kernel:
        _ingest_texts(kernel, "unfit")
        answer = kernel.rag.ask("zeppelin", model="mock/a", collection="unfit", method="words")
        assert (answer.found, answer.text, answer.citations) == (False, "", ())


def test_collections_and_tenants_are_seen_rebuilt_and_cleared() -> None:
    with connect("shared") as kernel:
        kernel.rag.ingest(documents=["secret"], collection="c", tenant="north", model=EMBEDDER)
        (one,) = kernel.rag.collections(tenant="north")
        assert (one.collection, one.tenant, one.documents) == ("c", "north", 1)
        assert kernel.rag.search("secret", collection="c").hits == ()
        assert kernel.rag.rebuild(collection="c", tenant="north").chunks == 1
        assert kernel.rag.clear(collection="c", tenant="north").documents == 1
        assert kernel.rag.collections(tenant="north") == ()


def test_what_is_wrong_is_said_at_the_call() -> None:
    with connect("shared") as kernel:
        with pytest.raises(NotFound, match="nowhere"):
            kernel.rag.ingest("nowhere", model=EMBEDDER)
        with pytest.raises(InvalidRequest, match="document 1 has no text"):
            kernel.rag.ingest(documents=[{"content": "x"}])
        with pytest.raises(InvalidRequest, match="has to be a list"):
            kernel.rag.ingest(documents="x")
        with pytest.raises(InvalidRequest, match="has to be a list"):
            kernel.rag.delete(sources="x")
        with pytest.raises(InvalidRequest):
            kernel.rag.search(" ")
        with pytest.raises(InvalidRequest, match="k must be"):
            kernel.rag.search("x", k=0)
        with pytest.raises(ModelNotFound):
            kernel.rag.ingest(documents=["x"], model="nosuch@candle", collection="wrong")


def test_all_documents_are_listed_page_after_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmspell.synchronous.rag._PAGE", 2)
    with connect("shared") as kernel:
        texts = [{"text": f"note {n}", "id": f"n{n}"} for n in range(5)]
        kernel.rag.ingest(documents=texts, collection="many", model=EMBEDDER)
        assert [one.id for one in kernel.rag.list(collection="many")] == [f"n{n}" for n in range(5)]


def test_under_asyncio_it_is_the_same() -> None:
    async def run() -> None:
        async with await connect_async("shared") as kernel:
            await kernel.rag.ingest(documents=["The gate opens."], collection="later", model=EMBEDDER)
            assert len((await kernel.rag.search("gate", collection="later")).hits) == 1
            reply = kernel.rag.stream("gate?", model="mock/a", collection="later")
            assert "".join([piece async for piece in reply]) == (await reply.result()).text

    asyncio.run(run())


def test_progress_of_an_ingest_is_shown_by_the_caller_s_display(at_home: Path) -> None:
    seen: list[Step] = []

    class Seen:
        def __init__(self, about: str) -> None:
            assert about == "shown"

        def show(self, step: Step) -> None:
            seen.append(step)

        def close(self) -> None:
            pass

    (at_home / "shown").mkdir(exist_ok=True)
    (at_home / "shown" / "one.txt").write_text("one")
    with connect("shared", progress=Seen) as kernel:
        kernel.rag.ingest("shown", collection="shown", model=EMBEDDER)
    assert seen
    assert all(isinstance(step, RagProgress) for step in seen)
