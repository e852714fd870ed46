"""web-searcher: every service, parameter, alias and error, against a server that answers as the services do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from llmspell_protocol.errors import ConfigError, Forbidden, InvalidRequest, Timeout, Unsupported
from tests.support.tool_calls import Called, call_tool
from tests.support.web_server import Answering, WebServer

DUCKDUCKGO = """<html><body><div class="serp__results">
<div class="result results_links result--ad"><h2><a class="result__a" href="https://ads.example/">Ad</a></h2></div>
<div class="result results_links web-result"><h2 class="result__title">
 <a class="result__a" href="//duckduckgo.com/l/?uddg=https%3A%2F%2Fdocs.example.org%2Fa%3Fb%3D1&amp;rut=a"
 >Docs <b>A</b></a>
</h2><a class="result__snippet" href="#">About <b>A</b> and more</a></div>
<div class="result results_links web-result"><h2><a class="result__a" href="https://b.example/">B</a></h2></div>
<div class="result"><a class="result__a" href="https://duckduckgo.com/y.js?ad_domain=x.example">Ad too</a></div>
<div class="result results_links web-result"><h2>nothing to click</h2></div>
</div></body></html>"""


def search(
    web: WebServer,
    arguments: Mapping[str, Any],
    engine: str = "duckduckgo",
    limits: Mapping[str, Any] | None = None,
    path: str = "/",
    **settings: Any,
) -> Called:
    tables = {
        "search": {"default_engine": engine, "endpoint": web.url(path), "api_key": "k3y", **settings},
        "web_search": limits or {},
        "network": {"max_retries": 0},
    }
    return call_tool("web-searcher", arguments, net=["127.0.0.1"], tables=tables)


def sent(web: WebServer, index: int = 0) -> dict[str, str]:
    """The parameters that a request had."""
    return {name: values[0] for name, values in parse_qs(urlsplit(web.asked[index].target).query).items()}


@pytest.mark.parametrize("name", ["input", "query", "q"])
def test_duckduckgo_is_read_without_its_advertisements(web: WebServer, name: str) -> None:
    web.page("/html/", DUCKDUCKGO, headers={"Content-Type": "text/html"})
    called = search(web, {name: "what is a & b"}, path="/html/")
    assert called.result == {
        "query": "what is a & b",
        "provider": "duckduckgo",
        "count": 2,
        "results": [
            {
                "title": "Docs A",
                "url": "https://docs.example.org/a?b=1",
                "snippet": "About A and more",
                "provider": "duckduckgo",
                "rank": 1,
            },
            {"title": "B", "url": "https://b.example/", "snippet": "", "provider": "duckduckgo", "rank": 2},
        ],
    }
    assert called.output == called.result["results"]
    assert sent(web) == {"q": "what is a & b", "kp": "1"}
    assert web.asked[0].headers["user-agent"].startswith("llmspell")
    assert "k3y" not in str(web.asked[0])


@pytest.mark.parametrize(
    ("language", "region"), [("en", "us-en"), ("de", "de-de"), ("de-AT", "at-de"), ("ja", "jp-jp")]
)
def test_duckduckgo_is_asked_for_a_language(web: WebServer, language: str, region: str) -> None:
    web.page("/", DUCKDUCKGO)
    search(web, {"query": "x", "language": language, "safe_search": False})
    assert sent(web) == {"q": "x", "kp": "-2", "kl": region}


def test_duckduckgo_s_riddle_is_told(web: WebServer) -> None:
    web.page("/", '<form id="challenge-form"><div class="anomaly-modal">', 202)
    assert "wants a person to answer a riddle" in search(web, {"query": "x"}).said


def test_no_results_are_a_result(web: WebServer) -> None:
    web.page("/", "<html><div class='no-results'>No results.</div></html>")
    assert search(web, {"query": "x"}).result == {"query": "x", "provider": "duckduckgo", "count": 0, "results": []}


def pages(size: int, total: int, first: str, start: int, item: Any, name: str) -> Any:
    """A page of results by a parameter that says where it begins."""

    def page(request: Answering) -> None:
        given = parse_qs(urlsplit(request.asked.target).query).get(first, [str(start)])[0]
        begin = (int(given) - start) * (1 if first == "start" else size)
        found = [item(number) for number in range(begin, min(begin + size, total))]
        request.answer({name: found} if name != "web" else {"web": {"results": found}})

    return page


def plain(url: str, snippet: str, number: int) -> dict[str, str]:
    return {"title": f"T{number}", url: f"https://r.example/{number}", snippet: f"S{number}"}


@pytest.mark.parametrize(
    ("engine", "path", "page", "requests"),
    [
        ("searxng", "/search", pages(10, 25, "pageno", 1, lambda n: plain("url", "content", n), "results"), 3),
        ("google", "/", pages(10, 25, "start", 1, lambda n: plain("link", "snippet", n), "items"), 3),
        ("brave", "/web/search", pages(20, 25, "offset", 0, lambda n: plain("url", "description", n), "web"), 2),
        ("serpapi", "/", pages(25, 25, "none", 0, lambda n: plain("link", "snippet", n), "organic_results"), 1),
        ("serperdev", "/search", pages(25, 25, "none", 0, lambda n: plain("link", "snippet", n), "organic"), 1),
    ],
)
def test_a_service_is_asked_page_by_page(web: WebServer, engine: str, path: str, page: Any, requests: int) -> None:
    web.pages[path] = page
    called = search(web, {"query": "x", "max_results": 22}, engine, {"max_results": 50}, google_engine_id="cx1")
    assert [hit["url"] for hit in called.output] == [f"https://r.example/{number}" for number in range(22)]
    assert called.output[0]["title"] == "T0"
    assert called.output[0]["snippet"] == "S0"
    assert [hit["rank"] for hit in called.output] == list(range(1, 23))
    assert len(web.asked) == requests


@pytest.mark.parametrize(
    ("engine", "path", "kind", "given", "content"),
    [
        (
            "searxng",
            "/search",
            "news",
            {"q": "x", "format": "json", "categories": "news", "safesearch": "1", "language": "de"},
            {"results": [plain("url", "content", 1)]},
        ),
        (
            "google",
            "/",
            "images",
            {"key": "k3y", "cx": "cx1", "q": "x", "num": "5", "start": "1", "safe": "active", "hl": "de"}
            | {"searchType": "image"},
            {"items": [plain("link", "snippet", 1)]},
        ),
        (
            "brave",
            "/news/search",
            "news",
            {"q": "x", "count": "5", "safesearch": "strict", "search_lang": "de"},
            {"results": [plain("url", "description", 1)]},
        ),
        (
            "brave",
            "/images/search",
            "images",
            {"q": "x", "count": "5", "safesearch": "strict", "search_lang": "de"},
            {"results": [plain("url", "description", 1)]},
        ),
        (
            "serpapi",
            "/",
            "news",
            {"engine": "google_news", "q": "x", "api_key": "k3y", "safe": "active", "hl": "de"},
            {"news_results": [plain("link", "snippet", 1)]},
        ),
        (
            "serpapi",
            "/",
            "images",
            {"engine": "google_images", "q": "x", "api_key": "k3y", "safe": "active", "hl": "de"},
            {"images_results": [plain("original", "snippet", 1)]},
        ),
        ("serperdev", "/news", "news", {}, {"news": [plain("link", "snippet", 1)]}),
        ("serperdev", "/images", "images", {}, {"images": [plain("imageUrl", "snippet", 1)]}),
    ],
)
def test_news_and_images_are_searched_where_a_service_can(
    web: WebServer, engine: str, path: str, kind: str, given: dict[str, str], content: Any
) -> None:
    web.page(path, content)
    asked = {"query": "x", "search_type": kind, "language": "de", "max_results": 5}
    called = search(web, asked, engine, google_engine_id="cx1")
    assert [hit["url"] for hit in called.output] == ["https://r.example/1"]
    assert sent(web) == given
    if engine == "brave":
        assert web.asked[0].headers["x-subscription-token"] == "k3y"
    if engine == "serperdev":
        assert web.asked[0].headers["x-api-key"] == "k3y"
        assert web.asked[0].json == {"q": "x", "num": 5, "safe": "active", "hl": "de"}


def test_results_are_held_to_the_domains_of_the_settings(web: WebServer) -> None:
    web.page("/", DUCKDUCKGO)
    only = search(web, {"query": "x"}, limits={"allowed_domains": ["example.org"]})
    assert [hit["url"] for hit in only.output] == ["https://docs.example.org/a?b=1"]
    assert only.outcome is not None
    assert only.outcome.metadata["left_out_by_domain"] == 1
    without = search(web, {"query": "x"}, limits={"allowed_domains": ["*"], "blocked_domains": ["example.org"]})
    assert [hit["url"] for hit in without.output] == ["https://b.example/"]


def test_the_settings_bound_how_many_results_there_are(web: WebServer) -> None:
    web.page("/", DUCKDUCKGO)
    assert search(web, {"query": "x", "max_results": 100}, limits={"max_results": 1}).result["count"] == 1
    assert search(web, {"query": "x"}, max_results=1).result["count"] == 1


def test_a_key_is_shown_to_its_own_service_alone(web: WebServer) -> None:
    web.page("/", {})
    with pytest.raises(ConfigError, match="is the key of brave, and is not sent to google"):
        search(web, {"query": "x", "provider": "google"}, "brave", google_engine_id="cx1")
    assert web.asked == []


def test_a_key_is_in_no_error(web: WebServer) -> None:
    web.page("/", "bad key k3y", 403)
    said = search(web, {"query": "x"}, "serpapi").said
    assert "127.0.0.1 answered 403 Forbidden: bad key …" in said
    assert "k3y" not in said
    web.pages["/"] = lambda request: request.redirect("/again?api_key=k3y")
    web.pages["/again"] = lambda request: request.redirect("/again?api_key=k3y")
    assert "k3y" not in search(web, {"query": "x"}, "google", google_engine_id="cx1").said
    web.pages["/"] = lambda request: request.until_gone(b"", pause_s=0.05)
    with pytest.raises(Timeout) as caught:
        search(web, {"query": "x"}, "google", limits={"timeout_seconds": 0.2}, google_engine_id="cx1")
    assert "k3y" not in str(caught.value.to_content())
    assert caught.value.details["setting"] == "tools.web_search.timeout_seconds"


@pytest.mark.parametrize(
    ("engine", "content", "status", "said"),
    [
        ("searxng", "Forbidden", 403, "add json to search.formats"),
        ("duckduckgo", "<html><p>Welcome to our hotel's network</p></html>", 200, "is not one of results"),
        ("duckduckgo", "Forbidden", 403, "answered 403 Forbidden: Forbidden"),
        ("searxng", "<html>", 200, "answered no JSON"),
        ("brave", [1], 200, "answered no JSON"),
        ("serpapi", {"error": "Invalid API key."}, 200, "SerpApi: Invalid API key."),
        ("google", "quota", 429, "answered 429 Too Many Requests: quota"),
    ],
)
def test_what_a_service_says_instead_of_results_is_told(
    web: WebServer, engine: str, content: Any, status: int, said: str
) -> None:
    for path in ("/", "/search", "/web/search"):
        web.page(path, content, status)
    assert said in search(web, {"query": "x"}, engine, google_engine_id="cx1").said


def test_an_empty_answer_of_serpapi_is_no_error(web: WebServer) -> None:
    web.page("/", {"error": "Google hasn't returned any results for this query."})
    assert search(web, {"query": "x"}, "serpapi").result["count"] == 0


@pytest.mark.parametrize(
    ("engine", "settings", "setting"),
    [
        ("brave", {"api_key": None}, "tools.search.api_key"),
        ("google", {}, "tools.search.google_engine_id"),
        ("searxng", {"endpoint": None}, "tools.search.endpoint"),
    ],
)
def test_a_setting_that_a_service_needs_is_named(
    web: WebServer, engine: str, settings: dict[str, Any], setting: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        search(web, {"query": "x"}, engine, **settings)
    assert caught.value.details["setting"] == setting
    assert setting in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"provider": "bing"}, "Microsoft ended"),
        ({"search_type": "news"}, "duckduckgo has no interface for a search of news"),
        ({"provider": "ddg", "search_type": "images"}, "duckduckgo has no interface for a search of images"),
    ],
)
def test_what_is_not_done_says_why(web: WebServer, given: dict[str, Any], why: str) -> None:
    with pytest.raises(Unsupported, match=why):
        search(web, {"query": "x", **given})


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({}, r"Missing required parameter 'input' \(or 'query', 'q'\)"),
        ({"query": ""}, "Parameter 'input'"),
        ({"query": "x", "provider": "altavista"}, "Unknown provider: altavista; there are duckduckgo"),
        ({"query": "x", "search_type": "maps"}, "Unknown search_type: maps"),
        ({"query": "x", "max_results": 0}, "Parameter 'max_results'"),
        ({"query": "x", "language": "../x"}, "Parameter 'language'"),
    ],
)
def test_a_search_that_makes_no_sense_is_refused(web: WebServer, given: dict[str, Any], why: str) -> None:
    with pytest.raises(InvalidRequest, match=why):
        search(web, given)


def test_a_service_that_is_not_allowed_is_refused(web: WebServer) -> None:
    with pytest.raises(Forbidden, match=r"Host blocked: html\.duckduckgo\.com"):
        search(web, {"query": "x"}, endpoint=None)
