"""A kernel's first question: its vector is begun while the collections open, with the likely model."""

from __future__ import annotations

import fcntl
from pathlib import Path

import pytest

from tests.support.embedder import NAME, with_embedder
from tests.support.rag_kernel import rag_kernel

pytestmark = pytest.mark.slow

SETTINGS = "[rag]\nenabled = true\n"


@pytest.fixture
def embedder(home: Path) -> Path:
    """A home in which the small embedder is installed."""
    with_embedder(home / "models")
    return home


def test_the_model_is_loaded_while_the_collections_open(embedder: Path) -> None:
    with rag_kernel(embedder, SETTINGS) as rag:
        directory = embedder / "rag"
        directory.mkdir(mode=0o700)
        with (directory / "rag.db.lock").open("w") as lock:
            # The worker that makes the database waits for it.
            fcntl.flock(lock, fcntl.LOCK_EX)
            pending = rag.client.request("rag_request", {"action": "search", "query": "tide"})
            while not rag.client.request("model_request", {"action": "ps"}).result().content["models"]:
                pass
        assert "there is no collection 'default'" in pending.result().content["warnings"][0]


def test_a_collection_of_another_model_is_asked_by_its_own(embedder: Path) -> None:
    texts = ("the tide rises", "bread and salt")
    with rag_kernel(embedder, SETTINGS) as rag:
        assert rag.texts(*texts, model="mock/embed")["model"] == "mock/embed@mock"
    with rag_kernel(embedder, SETTINGS) as rag:
        reply = rag("search", query="the tide rises", method="vectors", k=1)
        assert (reply["model"], reply["hits"][0]["document"]) == ("mock/embed@mock", "t0")
        assert reply["hits"][0]["score"] == pytest.approx(1.0, abs=1e-3)


def test_what_was_begun_for_the_right_model_is_the_question_s_vector(embedder: Path) -> None:
    with rag_kernel(embedder, SETTINGS) as rag:
        assert rag.texts("the tide rises", "bread and salt")["model"] == f"{NAME}@candle"
    with rag_kernel(embedder, SETTINGS) as rag:
        first = rag("search", query="flour", method="vectors")["hits"]
        assert first[0]["document"] == "t1"
        # The question was embedded once, and another one is as near as when asked again.
        assert rag("stats")["embeddings"] == 1
        rag("search", query="sea", method="vectors")
        assert rag("search", query="flour", method="vectors", k=1)["hits"][0]["score"] == first[0]["score"]
