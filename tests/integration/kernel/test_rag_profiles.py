"""The three profiles for documents do what their names say; each in a kernel with the mock backend's embedder."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from llmspell_protocol.errors import Busy, InvalidRequest
from tests.support.rag_kernel import Rag, rag_kernel

TEXT = " ".join(f"Sentence {number} about the sea." for number in range(300))
WARNING = "rag.embedding.default_provider is openai, which can't be asked"


def settings(profile: str, directory: Path, *lines: str) -> str:
    """A configuration on top of a profile, whose paths are the test's."""
    return "\n".join(
        [
            f'extends = "{profile}"',
            "[models]",
            'embedding = "mock/embed"',
            "[rag.vector_storage]",
            f'persistence_path = "{directory}/vectors"',
            "[rag.security]",
            f'audit_log_path = "{directory}/audit.log"',
            "[rag.debug]",
            f'debug_dump_path = "{directory}/dumps"',
            *lines,
        ]
    )


def figures(rag: Rag, action: str) -> dict[str, object]:
    content: dict[str, object] = rag.client.request("kernel_request", {"action": action}).result().content
    return content


def log_of(home: Path) -> str:
    return "".join(path.read_text() for path in (home / "logs").glob("kernel-*.log"))


def asked_often(rag: Rag) -> None:
    for _ in range(101):
        rag("stats", tenant="acme")


def test_development_is_small_and_talkative(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with rag_kernel(home, settings("rag-dev", tmp_path), OPENAI_API_KEY="") as rag:
        assert rag.ran("return RAG ~= nil and RAG.config.multi_tenant") is False
        reply = rag("ingest", documents=[{"text": TEXT, "id": "sea"}])
        assert reply["warnings"][0].startswith(WARNING)
        hits = rag("search", query="sea", k=50)["hits"]
        assert max(hit["tokens"] for hit in hits) <= 256
        assert (tmp_path / "vectors" / "rag.db").exists()
        # Neither embeddings nor searches are kept.
        assert rag("ingest", documents=[{"text": TEXT, "id": "sea"}], force=True)["vectors"] == reply["vectors"] > 0
        (dump,) = (tmp_path / "dumps").iterdir()
        assert json.loads(dump.read_text())["query"] == "sea"
    told = log_of(home)
    assert re.search(r"rag ingest: ok, [\d.]+ ms documents=1 chunks=\d+ vectors=\d+ failed=0", told)
    assert not (tmp_path / "audit.log").exists()


def test_production_is_safe(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with rag_kernel(home, settings("rag-prod", tmp_path), OPENAI_API_KEY="") as rag:
        with pytest.raises(InvalidRequest, match="a tenant is needed"):
            rag.texts("the sea")
        reply = rag.texts("the sea", tenant="acme")
        # The profile wants vectors of 768 numbers.
        assert any("dimensions is 768, and the vectors of mock/embed@mock have 32" in one for one in reply["warnings"])
        assert rag.found("sea", tenant="other") == []
        with pytest.raises(InvalidRequest, match="more than 102,400"):
            rag.texts("x" * 102_401, tenant="acme")
        status = figures(rag, "status")["rag"]
        assert isinstance(status, dict)
        assert status["healthy"] is True
        counted = figures(rag, "metrics")["rag"]
        assert isinstance(counted, dict)
        assert (counted["ingest"], counted["search"], counted["documents"]) == (2, 1, 1)
        with pytest.raises(Busy, match="rate limit: 100 RAG operations in a minute"):
            asked_often(rag)
        assert rag("stats", tenant="other")["documents"] == 0
    lines = [json.loads(line) for line in (tmp_path / "audit.log").read_text().splitlines()]
    assert (lines[0]["action"], lines[0]["tenant"], lines[0]["documents"]) == ("ingest", "acme", 1)
    assert "the sea" not in (tmp_path / "audit.log").read_text()


def test_performance_is_large_and_measured(tmp_path: Path) -> None:
    home = tmp_path / "home"
    slow = "[rag.performance]\nslow_operation_threshold_ms = 0"
    with rag_kernel(home, settings("rag-perf", tmp_path, slow), OPENAI_API_KEY="") as rag:
        first = rag("ingest", documents=[{"text": TEXT, "id": "sea"}])
        hits = rag("search", query="sea", k=50)["hits"]
        assert 256 < max(hit["tokens"] for hit in hits) <= 1024
        again = rag("ingest", documents=[{"text": TEXT, "id": "sea"}], force=True)
        assert (first["vectors"] > 0, again["vectors"]) == (True, 0)
        counted = figures(rag, "metrics")["rag"]
        assert isinstance(counted, dict)
        assert counted["search"] == 1
    assert "slow: rag search took" in log_of(home)
    assert not (tmp_path / "audit.log").exists()
    assert not (tmp_path / "dumps").exists()


def test_a_variable_switches_rag_on_and_off(tmp_path: Path) -> None:
    with rag_kernel(tmp_path / "on", "", LLMSPELL_RAG_ENABLED="true") as rag:
        assert rag.ran("return RAG ~= nil") is True
    with rag_kernel(tmp_path / "off", settings("rag-dev", tmp_path), LLMSPELL_RAG_ENABLED="false") as rag:
        assert rag.ran("return RAG == nil") is True


def test_every_key_has_its_variable(tmp_path: Path) -> None:
    env = {"LLMSPELL_RAG__CHUNKING__CHUNK_SIZE": "120", "LLMSPELL_RAG__EMBEDDING__CACHE_ENABLED": "false"}
    env |= {"LLMSPELL_MODELS__EMBEDDING": "mock/embed", "LLMSPELL_RAG_ENABLED": "true"}
    with rag_kernel(tmp_path / "home", "", **env) as rag:
        rag("ingest", documents=[{"text": TEXT, "id": "sea"}])
        assert max(hit["tokens"] for hit in rag("search", query="sea", k=50)["hits"]) <= 120
        assert rag("ingest", documents=[{"text": TEXT, "id": "sea"}], force=True)["vectors"] > 0
