"""url-analyzer with fetch_metadata: what a real server says of a URL."""

from __future__ import annotations

import pytest

from llmspell_protocol.errors import Forbidden, InvalidRequest
from tests.support.tool_calls import Called, call_tool
from tests.support.web_server import WebServer


def ask(url: str) -> Called:
    tables = {"web_tools": {"scraping_delay_ms": 0}, "network": {"max_retries": 0}}
    return call_tool("url-analyzer", {"input": url, "fetch_metadata": True}, net=["127.0.0.1"], tables=tables)


def test_a_page_tells_of_itself(web: WebServer) -> None:
    html = (
        '<title>A page</title><meta property="og:description" content="About"><meta property="og:image" content="/i">'
    )
    web.page("/page", html, headers={"Content-Type": "text/html", "Last-Modified": "Mon, 01 Jan 2024 00:00:00 GMT"})
    web.pages["/"] = lambda request: request.redirect("/page")
    result = ask(web.url()).result
    metadata = result["metadata"]
    assert (result["host"], result["port"]) == ("127.0.0.1", web.port)
    assert metadata["status_code"] == 200
    assert metadata["final_url"] == web.url("/page")
    assert metadata["redirects"] == [web.url()]
    assert metadata["content_type"] == "text/html"
    assert metadata["content_length"] == len(html)
    assert metadata["last_modified"] == "Mon, 01 Jan 2024 00:00:00 GMT"
    assert (metadata["title"], metadata["description"], metadata["image"]) == ("A page", "About", "/i")


def test_what_is_no_page_has_no_title(web: WebServer) -> None:
    metadata = ask(web.page("/x", {"a": 1}, 404)).result["metadata"]
    assert metadata["status_code"] == 404
    assert "title" not in metadata


def test_what_can_t_be_fetched_is_told(web: WebServer) -> None:
    with pytest.raises(InvalidRequest, match="http and https are"):
        ask("ftp://127.0.0.1/")
    with pytest.raises(InvalidRequest, match="name before the @"):
        ask(f"http://me@127.0.0.1:{web.port}/")
    with pytest.raises(Forbidden, match="Host blocked"):
        ask("http://127.0.0.2/")
