"""What the settings keep, as a server that makes the vectors sees it: batches, embeddings, searches, documents."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from llmspell_protocol.errors import InvalidRequest, ModelError
from tests.support.rag_kernel import Rag, rag_kernel
from tests.support.web_server import Answering, WebServer, web_server

TEXT = " ".join(f"Sentence {number} about the sea." for number in range(60))
SMALL = {"strategy": "sentence", "chunk_size": 30, "overlap": 0}


@pytest.fixture
def web() -> Iterator[WebServer]:
    with web_server() as server:
        server.pages["/v1/embeddings"] = vectors
        yield server


def vectors(request: Answering) -> None:
    """A vector a text, by its letters."""
    texts = request.asked.json["input"]
    length = request.asked.json.get("dimensions", 8)
    digests = [hashlib.sha256(text.encode()).digest()[:length] for text in texts]
    rows = [{"index": at, "embedding": [byte / 255 + 0.01 for byte in digest]} for at, digest in enumerate(digests)]
    request.answer({"data": rows, "model": "m", "usage": {"prompt_tokens": len(texts)}})


def kernel(home: Path, web: WebServer, *lines: str) -> Any:
    """A kernel whose vectors come from the server."""
    box = f'[providers.box]\nprovider_type = "openai"\nbase_url = "{web.url("/v1")}"\napi_key = "k"\n'
    settings = f'[models]\nembedding = "m@box"\n[rag]\nenabled = true\n{box}'
    return rag_kernel(home, settings + "\n".join(lines))


def asked(web: WebServer) -> list[int]:
    """How many texts each question had since the last time."""
    found = [len(one.json["input"]) for one in web.asked if one.target == "/v1/embeddings"]
    web.asked.clear()
    return found


def take(rag: Rag, **fields: Any) -> dict[str, Any]:
    return rag("ingest", documents=[{"text": TEXT, "id": "sea"}], chunking=SMALL, **fields)


def test_texts_are_embedded_in_batches_of_the_settings_size(tmp_path: Path, web: WebServer) -> None:
    with kernel(tmp_path / "home", web, "[rag.embedding]", "batch_size = 4") as rag:
        chunks = take(rag)["chunks"]
    sizes = asked(web)
    assert max(sizes) == 4
    # The first text is asked for how long vectors are.
    assert sum(sizes) == chunks + 1


@pytest.mark.parametrize("kept", [True, False])
def test_embeddings_are_kept_where_they_are_to_be(tmp_path: Path, web: WebServer, kept: bool) -> None:
    lines = ("[rag.embedding]", f"cache_enabled = {str(kept).lower()}")
    with kernel(tmp_path / "home", web, *lines) as rag:
        first = take(rag)
        again = take(rag, force=True)
    assert first["vectors"] == first["chunks"]
    assert again["vectors"] == (0 if kept else first["chunks"])


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        ("search_cache_enabled = true", True),
        ("search_cache_enabled = false", False),
        ("search_cache_size = 0", False),
        ("search_cache_ttl_seconds = 0", False),
    ],
)
def test_searches_are_kept_where_they_are_to_be(tmp_path: Path, web: WebServer, line: str, kept: bool) -> None:
    with kernel(tmp_path / "home", web, "[rag.cache]", line) as rag:
        take(rag)
        asked(web)
        assert rag.found("sea", k=3) == rag.found("sea", k=3)
        assert sum(asked(web)) == (1 if kept else 2)
        rag.found("sea", k=4)
        assert sum(asked(web)) == 1


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        ("document_cache_enabled = true", True),
        ("document_cache_enabled = false", False),
        ("document_cache_size_mb = 0", False),
    ],
)
def test_documents_are_kept_where_they_are_to_be(tmp_path: Path, web: WebServer, line: str, kept: bool) -> None:
    """Texts that are cut by meaning need vectors of their sentences, unless they were cut before."""
    meaning = {"strategy": "semantic", "chunk_size": 30, "overlap": 0}
    with kernel(tmp_path / "home", web, "[rag.cache]", line) as rag:
        rag("ingest", documents=[{"text": TEXT, "id": "sea"}], chunking=meaning)
        asked(web)
        reply = rag("ingest", documents=[{"text": TEXT, "id": "sea"}], chunking=meaning, collection="other")
        assert reply["added"] == 1
        # One text is asked for how long vectors are.
        assert (sum(asked(web)) <= 1) is kept


def test_texts_are_cut_as_the_settings_say(tmp_path: Path, web: WebServer) -> None:
    lines = ('strategy = "sentence"', "chunk_size = 30", "overlap = 0", "min_chunk_size = 5", "max_chunk_size = 40")
    with kernel(tmp_path / "home", web, "[rag.chunking]", *lines) as rag:
        by_settings = rag("ingest", documents=[{"text": TEXT, "id": "sea"}])["chunks"]
        assert by_settings == take(rag, collection="other")["chunks"] > 10
        with pytest.raises(InvalidRequest, match=r"out of range \(1 to 40, rag.chunking.max_chunk_size\)"):
            rag("ingest", documents=[{"text": TEXT}], chunking={"chunk_size": 41})


def test_openai_is_asked_for_vectors_as_long_as_the_settings_say(tmp_path: Path, web: WebServer) -> None:
    settings = (
        f'[providers.openai]\nbase_url = "{web.url("/v1")}"\napi_key = "k"\n'
        '[rag]\nenabled = true\n[rag.embedding]\ndefault_provider = "openai"\n'
        "[rag.vector_storage]\ndimensions = 16\n"
    )
    with rag_kernel(tmp_path / "home", settings) as rag:
        reply = take(rag)
        assert (reply["model"], reply["dimension"], reply["warnings"]) == ("text-embedding-3-small@openai", 16, [])
        assert rag.found("sea", k=1)
        assert {one.json.get("dimensions") for one in web.asked if one.target == "/v1/embeddings"} == {16}


def test_vectors_of_another_length_than_the_collections_are_an_error_with_both(tmp_path: Path, web: WebServer) -> None:
    with kernel(tmp_path / "home", web) as rag:
        take(rag)
        web.pages["/v1/embeddings"] = lambda request: request.answer(
            {"data": [{"index": 0, "embedding": [1.0] * 5}], "model": "m", "usage": {"prompt_tokens": 1}}
        )
        with pytest.raises(ModelError, match="makes vectors of 5 dimensions now, and had 8"):
            rag.found("sea", method="vectors")
        assert rag.found("sea", method="words")
