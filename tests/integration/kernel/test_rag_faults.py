"""What happens to documents when something ends in the middle, and what is told of it."""

from __future__ import annotations

import os
import signal
import sqlite3
from pathlib import Path

import pytest

from llmspell_protocol.client.events import Progress
from llmspell_protocol.errors import DiskFull, KernelUnreachable, LlmspellError, WorkerCrashed
from tests.support.rag_kernel import SETTINGS, Rag, rag_kernel

TEXT = " ".join(f"Sentence {number} about the sea." for number in range(300))
DOCUMENTS = [{"text": f"{TEXT} {number}", "id": f"d{number:03}"} for number in range(80)]


def until_some_are_written(rag: Rag) -> object:
    """An ingest of which the first documents are there."""
    pending = rag.client.request("rag_request", {"action": "ingest", "documents": DOCUMENTS})
    for event in pending:
        if isinstance(event, Progress) and event.content["documents_done"] >= 2:
            return pending
    raise AssertionError("the ingest ended before anything was written")


def whole(rag: Rag) -> int:
    """How many documents are there, each with all of its chunks and vectors."""
    there = rag("list", limit=1000)["documents"]
    stats = rag("stats", collection="default")
    assert len({one["chunks"] for one in there}) <= 1
    assert stats["vectors"] == stats["chunks"] == sum(one["chunks"] for one in there)
    return len(there)


def test_a_kernel_that_is_killed_in_an_ingest_leaves_whole_documents(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with rag_kernel(home) as rag:
        pending = until_some_are_written(rag)
        rag.kernel.signal(signal.SIGKILL)
        with pytest.raises(KernelUnreachable):
            pending.result()  # type: ignore[attr-defined]
    with rag_kernel(home) as rag:
        there = whole(rag)
        assert 2 <= there < 80
        assert rag.found("sea", k=3)
        assert rag("ingest", documents=DOCUMENTS)["unchanged"] == there
        assert whole(rag) == 80
    connection = sqlite3.connect(home / "rag" / "rag.db")
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()


def test_a_collections_worker_that_is_killed_fails_what_it_did_and_another_one_starts(tmp_path: Path) -> None:
    with rag_kernel(tmp_path / "home") as rag:
        pending = until_some_are_written(rag)
        pid = rag.client.request("kernel_request", {"action": "status"}).result().content["rag"]["pid"]
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(WorkerCrashed, match="the process that has the collections ended"):
            pending.result()  # type: ignore[attr-defined]
        there = whole(rag)
        assert 2 <= there < 80
        assert rag("ingest", documents=DOCUMENTS)["added"] == 80 - there


def test_a_damaged_database_is_told_and_nothing_is_written(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with rag_kernel(home) as rag:
        rag.texts("the sea")
    file = home / "rag" / "rag.db"
    damaged = b"no database at all" * 1000
    for path in file.parent.glob("rag.db*"):
        path.unlink()
    file.write_bytes(damaged)
    settings = SETTINGS + "[rag.monitoring]\nenable_health_checks = true\n"
    with rag_kernel(home, settings) as rag:
        with pytest.raises(LlmspellError) as refused:
            rag.texts("the moon")
        assert refused.value.code.startswith("storage_")
        status = rag.client.request("kernel_request", {"action": "status"}).result().content["rag"]
        assert status["healthy"] is False
        assert status["problem"]
    assert file.read_bytes() == damaged


def test_a_full_disk_ends_the_ingest_and_leaves_whole_documents(tmp_path: Path, small_disk: Path) -> None:
    settings = SETTINGS + f'[rag.vector_storage]\npersistence_path = "{small_disk}"\n'
    documents = [{"text": f"{TEXT} {number}", "id": f"d{number:04}"} for number in range(2000)]
    with rag_kernel(tmp_path / "home", settings) as rag:
        with pytest.raises(DiskFull) as full:
            rag("ingest", documents=documents)
        assert str(small_disk / "rag.db") in full.value.message
        assert full.value.hint is not None
        there = whole(rag)
        assert there >= full.value.details["documents_done"] > 0
        assert rag.found("sea", k=1)


def test_two_kernels_may_ingest_into_one_collection(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with rag_kernel(home) as first, rag_kernel(home) as second:
        pending = [
            rag.client.request("rag_request", {"action": "ingest", "documents": documents})
            for rag, documents in ((first, DOCUMENTS[:40]), (second, DOCUMENTS[40:]))
        ]
        assert [one.result().content["added"] for one in pending] == [40, 40]
        for rag in (first, second):
            assert whole(rag) == 80
            assert len(rag.found("sea", k=1000)) > 80
        second("delete", ids=["d000"])
        assert "d000" not in first.found("sea", k=1000)


def test_a_reader_that_is_killed_fails_its_document_alone(tmp_path: Path) -> None:
    directory = tmp_path / "documents"
    directory.mkdir()
    for number in range(30):
        (directory / f"{number:02}.txt").write_text(f"{TEXT} {number}")
    with rag_kernel(tmp_path / "home") as rag:
        pending = rag.client.request("rag_request", {"action": "ingest", "paths": [str(directory)]})
        for event in pending:
            if isinstance(event, Progress) and event.content["documents_done"] >= 1:
                break
        for pid in readers_of(rag.kernel.pid):
            os.kill(pid, signal.SIGKILL)
        reply = pending.result().content
        assert 0 < len(reply["failed"]) <= 4
        assert {one["code"] for one in reply["failed"]} == {"worker_crashed"}
        assert len(reply["ids"]) == 30 - len(reply["failed"])
        again = rag("ingest", paths=[str(directory)])
        assert (again["added"], again["failed"]) == (len(reply["failed"]), [])


def readers_of(kernel: int) -> list[int]:
    """The reading workers of a kernel."""
    import psutil

    children = psutil.Process(kernel).children(recursive=True)
    return [child.pid for child in children if "llmspell_rag.reading_worker" in child.cmdline()]


def test_an_embedding_model_that_is_gone_ends_the_ingest_and_says_how_far_it_was(tmp_path: Path) -> None:
    with rag_kernel(tmp_path / "home") as rag:
        rag.texts("the sea")
        with pytest.raises(LlmspellError) as gone:
            rag.texts("the moon", model="openai/text-embedding-3-small")
        assert gone.value.code in ("config_error", "backend_not_configured")
        assert rag.found("sea") == ["t0"]


def test_what_a_place_may_hold_is_limited(tmp_path: Path) -> None:
    settings = SETTINGS + "[rag.vector_storage]\nmax_documents = 2\n"
    with rag_kernel(tmp_path / "home", settings) as rag:
        rag.texts("a sea", "a moon")
        with pytest.raises(LlmspellError) as refused:
            rag("ingest", documents=[{"text": "a star", "id": "t2"}])
        assert "2" in refused.value.message
        assert rag("list")["count"] == 2
        assert rag.texts("another sea", "a moon")["changed"] == 1
