"""Pages of the web as documents, behind the limits of tools."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from llmspell_protocol.errors import ScriptError
from tests.support.rag_kernel import SETTINGS, Rag, rag_kernel
from tests.support.web_server import WebServer, web_server

PAGE = (
    "<!doctype html><html><head><title>Tides</title></head><body><nav>Home</nav><main><h1>Tides</h1>"
    "<p>High water comes twice a day, because the moon pulls the sea.</p></main></body></html>"
)
NEAR = '[tools.http_request]\nallowed_hosts = ["127.0.0.1"]\n[tools.network]\nmax_retries = 0\n'


@pytest.fixture
def web() -> Iterator[WebServer]:
    with web_server() as server:
        yield server


@pytest.fixture
def rag(tmp_path: Path) -> Iterator[Rag]:
    with rag_kernel(tmp_path / "home", SETTINGS + NEAR) as kernel:
        yield kernel


def test_a_page_is_a_document_and_unchanged_the_next_time(rag: Rag, web: WebServer) -> None:
    url = web.page("/tides", PAGE, headers={"Content-Type": "text/html; charset=utf-8"})
    reply = rag("ingest", urls=[url])
    assert (reply["ids"], reply["added"], reply["failed"]) == ([url], 1, [])
    hit = rag("search", query="moon pulls the sea")["hits"][0]
    assert (hit["source"], hit["title"]) == (url, "Tides")
    assert "<p>" not in hit["text"]
    assert rag("ingest", urls=[url])["unchanged"] == 1
    web.page("/tides", PAGE.replace("moon", "sun"), headers={"Content-Type": "text/html; charset=utf-8"})
    assert rag("ingest", urls=[url])["changed"] == 1


def test_json_and_plain_text_are_documents(rag: Rag, web: WebServer) -> None:
    json = web.page("/x.json", {"tides": "twice a day"})
    text = web.page("/x.txt", "the moon", headers={"Content-Type": "text/plain"})
    assert rag("ingest", urls=[json, text])["added"] == 2
    assert rag.found("twice day", method="words") == [json]


def test_a_page_that_is_not_there_is_told_and_the_others_are_taken(rag: Rag, web: WebServer) -> None:
    good = web.page("/good", PAGE, headers={"Content-Type": "text/html"})
    reply = rag("ingest", urls=[web.url("/missing"), good, "ftp://example.org/x"])
    assert reply["ids"] == [good]
    assert [(one["source"], one["code"]) for one in reply["failed"]] == [
        (web.url("/missing"), "not_found"),
        ("ftp://example.org/x", "invalid_request"),
    ]


def test_a_host_that_is_not_allowed_is_not_asked(tmp_path: Path, web: WebServer) -> None:
    url = web.page("/tides", PAGE)
    with rag_kernel(tmp_path / "home") as rag:
        (problem,) = rag("ingest", urls=[url])["failed"]
        assert (problem["code"], problem["source"]) == ("forbidden", url)
        assert problem["message"].startswith("Host blocked: 127.0.0.1")
        with pytest.raises(ScriptError, match="Host blocked"):
            rag.ran(f"local r = RAG.ingest {{url = '{url}'}} error(r.failed[1].message)")
        granted = rag.ran(f"return #RAG.ingest({{url = '{url}'}}).ids", allow={"net": ["127.0.0.1"]})
    assert granted == 1
    assert len(web.asked) == 1
