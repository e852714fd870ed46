"""web-scraper: every parameter, alias and error, against real pages."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import pytest

from llmspell_protocol.errors import Forbidden, InvalidRequest, Timeout, Unsupported
from llmspell_tools.limits.pace import Pace
from tests.support.tool_calls import Called, call_tool
from tests.support.web_server import WebServer

PAGE = """<!doctype html><html><head><title> A  page </title>
<meta name="description" content="About it"><meta property="og:title" content="OG">
<link rel="canonical" href="/canonical"><style>p { color: red }</style></head>
<body><h1>Head <b>line</b></h1><p class="x">One</p><p class="x">Two</p><script>alert("no")</script>
<a href="/rel">Rel</a><a href="/rel">again</a><a href="https://example.com/abs">Abs</a><a href="#top">Top</a>
<a href="javascript:alert(1)">Bad</a><a href="mailto:a@example.com">Mail</a>
<img src="i.png" alt="I"><img data-src="/lazy.png"><img src="data:image/gif;base64,x"></body></html>"""


def ask(arguments: Mapping[str, Any], web_tools: Mapping[str, Any] | None = None) -> Called:
    tables = {"web_tools": {"scraping_delay_ms": 0, **(web_tools or {})}, "network": {"max_retries": 0}}
    return call_tool("web-scraper", arguments, net=["127.0.0.1"], tables=tables)


@pytest.fixture
def url(web: WebServer) -> str:
    return web.page("/page", PAGE, headers={"Content-Type": "text/html; charset=utf-8"})


@pytest.mark.parametrize("name", ["input", "url"])
def test_a_page_has_a_title_and_a_text(url: str, name: str) -> None:
    called = ask({name: url})
    assert called.result["title"] == "A page"
    assert called.result["text"].splitlines()[:3] == ["Head line", "One", "Two"]
    assert "One" in called.output
    assert "alert" not in called.output
    assert "color" not in called.output
    assert set(called.result) == {"url", "status_code", "title", "text"}


@pytest.mark.parametrize(
    ("selectors", "data"),
    [
        ({"items": "p.x"}, {"items": ["One", "Two"]}),
        ({"first": {"selector": "p.x", "multiple": False}}, {"first": "One"}),
        ({"none": {"selector": ".nothing", "multiple": False}, "nor": ".nothing"}, {"none": None, "nor": []}),
        ({"to": {"selector": "a[href^='/']", "attribute": "href"}}, {"to": ["{base}/rel", "{base}/rel"]}),
        ({"alt": {"selector": "img", "attribute": "alt"}}, {"alt": ["I"]}),
        (["h1"], {"h1": ["Head line"]}),
    ],
)
def test_selectors_find_texts_and_attributes(web: WebServer, url: str, selectors: Any, data: Any) -> None:
    expected = {
        name: [one.format(base=web.url("").rstrip("/")) for one in found] if isinstance(found, list) else found
        for name, found in data.items()
    }
    called = ask({"url": url, "selectors": selectors})
    assert called.result["data"] == called.output == expected


def test_one_selector_gives_what_it_finds(url: str) -> None:
    called = ask({"url": url, "selector": "p"})
    assert called.result["selected"] == called.output == ["One", "Two"]


def test_links_images_and_meta_data_are_given_where_they_are_wanted(web: WebServer, url: str) -> None:
    result = ask({"url": url, "extract_links": True, "extract_images": True, "extract_meta": True}).result
    assert result["links"] == [
        {"url": web.url("/rel"), "text": "Rel"},
        {"url": "https://example.com/abs", "text": "Abs"},
        {"url": "mailto:a@example.com", "text": "Mail"},
    ]
    assert result["images"] == [{"url": web.url("/i.png"), "alt": "I"}, {"url": web.url("/lazy.png"), "alt": ""}]
    assert result["meta"] == {"description": "About it", "og:title": "OG", "canonical": web.url("/canonical")}


def test_a_page_is_read_in_its_own_encoding(web: WebServer) -> None:
    html = '<html><head><meta charset="iso-8859-15"><title>Größe €</title></head></html>'.encode("iso-8859-15")
    assert ask({"url": web.page("/", html, headers={"Content-Type": "text/html"})}).result["title"] == "Größe €"


def test_it_introduces_itself_as_the_settings_say_and_keeps_to_their_domains(web: WebServer, url: str) -> None:
    ask({"url": url}, {"user_agent": "mine/1"})
    assert web.asked[0].headers["user-agent"] == "mine/1"
    with pytest.raises(Forbidden, match="Domain not in allowed list") as caught:
        ask({"url": url}, {"allowed_domains": ["example.com"]})
    assert caught.value.details["setting"] == "tools.web_tools.allowed_domains"
    with pytest.raises(Forbidden) as caught:
        ask({"url": url}, {"blocked_domains": "127.0.0.1"})
    assert caught.value.details["setting"] == "tools.web_tools.blocked_domains"


def test_a_host_is_given_a_pause_between_two_requests(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    now, slept = [0.0], list[float]()

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    monkeypatch.setattr("llmspell_tools.limits.web.PACE", Pace(lambda: now[0], sleep))
    ask({"url": url}, {"scraping_delay_ms": 1500})
    ask({"url": url}, {"scraping_delay_ms": 1500})
    assert slept == [1.5]


def test_what_is_no_page_is_told(web: WebServer) -> None:
    assert "answered 404 Not Found" in ask({"url": web.url("/gone")}).said
    assert "no page of HTML but application/pdf" in (
        ask({"url": web.page("/pdf", b"%PDF", headers={"Content-Type": "application/pdf"})}).said
    )
    assert "bytes of an unknown kind" in ask({"url": web.page("/bytes", b"\0\xff\xfe\0\x80")}).said


@pytest.mark.parametrize("html", ["", "<", "<div>" * 20_000, "<a href='http://['>x</a><base href='http://['>", "\0<b>"])
def test_a_broken_page_is_read_as_far_as_it_can_be(web: WebServer, html: str) -> None:
    called = ask(
        {
            "url": web.page("/", html, headers={"Content-Type": "text/html"}),
            **{f"extract_{what}": True for what in ("links", "images", "meta")},
        }
    )
    assert called.result["title"] == ""


def test_what_is_wrong_is_told(web: WebServer, url: str) -> None:
    with pytest.raises(Unsupported, match="no scripts of pages"):
        ask({"url": url, "wait_for_js": True})
    with pytest.raises(InvalidRequest, match=r"selectors\.bad: '::::' is not a CSS selector"):
        ask({"url": url, "selectors": {"bad": "::::"}})
    with pytest.raises(InvalidRequest, match="not a CSS selector"):
        ask({"url": url, "selector": "[["})
    with pytest.raises(InvalidRequest, match="Missing required parameter 'input'"):
        ask({})
    with pytest.raises(InvalidRequest, match="selectors"):
        ask({"url": url, "selectors": {"a": {"attribute": "href"}}})
    with pytest.raises(Forbidden, match="Host blocked"):
        ask({"url": "http://127.0.0.2/"})
    web.pages["/slow"] = lambda request: request.until_gone(b"", pause_s=0.05)
    with pytest.raises(Timeout, match=r"timed out after 0\.2s"):
        ask({"url": web.url("/slow"), "timeout": 0.2})


def test_without_its_library_it_says_what_to_install(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "selectolax.lexbor", None)
    with pytest.raises(Unsupported, match="needs the package selectolax") as caught:
        ask({"url": url})
    assert "[tools]" in (caught.value.hint or "")
