"""Search services: what each is asked, and how its answer is read. Knows no network."""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple
from urllib.parse import urlencode

from llmspell_tools.contract import ToolFailure
from llmspell_tools.limits.answers import Answer
from llmspell_tools.web.bodies import JSON_TYPE, json_body
from llmspell_tools.web.markup import Page

Kind = Literal["web", "news", "images"]


class Hit(NamedTuple):
    """One result."""

    title: str
    url: str
    snippet: str


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """A search. `first` counts results from 0: which page is asked for."""

    text: str
    count: int
    kind: Kind
    safe: bool
    language: str | None
    key: str
    endpoint: str
    google_engine_id: str = ""
    first: int = 0


@dataclass(frozen=True, kw_only=True)
class Asking:
    """A request of a search."""

    url: str
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, kw_only=True)
class Engine:
    """One service. `page_size` results come in an answer at most; None: it has no pages."""

    asking: Callable[[Wanted], Asking]
    reading: Callable[[Answer, Kind], Iterable[Hit]]
    kinds: Sequence[Kind] = ("web", "news", "images")
    endpoint: str = ""
    needs_key: bool = True
    page_size: int | None = None
    explained: Mapping[int, str] = field(default_factory=dict)
    """What a status means that others don't explain."""


def _with(url: str, **values: Any) -> str:
    """The URL with parameters; those that are None are left out."""
    given = {name: value for name, value in values.items() if value is not None}
    return f"{url}{'&' if '?' in url else '?'}{urlencode(given)}"


# DuckDuckGo: the page without scripts


def _ask_duckduckgo(wanted: Wanted) -> Asking:
    return Asking(
        url=_with(wanted.endpoint, q=wanted.text, kp="1" if wanted.safe else "-2", kl=_region(wanted.language)),
        headers={"Accept": "text/html"},
    )


def _region(language: str | None) -> str | None:
    """DuckDuckGo's `country-language` for `language` or `language-COUNTRY`; Japanese is `jp-jp` there."""
    if language is None:
        return None
    spoken, _, country = language.lower().partition("-")
    own = {"ja": "jp", "ko": "kr"}.get(spoken, spoken)
    return f"{country or {'en': 'us', 'zh': 'cn'}.get(spoken, own)}-{own}"


def _read_duckduckgo(answer: Answer, _kind: Kind) -> Iterable[Hit]:
    page = Page(answer.text() or "", answer.url)
    if page.nodes(".anomaly-modal, #challenge-form"):
        raise ToolFailure(
            "DuckDuckGo wants a person to answer a riddle first: ask less often, or use another engine "
            "(tools.search.default_engine)",
            code="rate_limited",
        )
    if not page.nodes("#links, .serp__results, .results, .no-results, .result--no-result"):
        raise ToolFailure("DuckDuckGo's page is not one of results, or not as it used to be")
    for block in page.blocks(
        ".result:not(.result--ad)", title=("a.result__a", None), url=("a.result__a", "href"), snippet=_SNIPPET
    ):
        target = _target(block["url"])
        if target and not _ADVERTISEMENT.search(target):
            yield Hit(block["title"], target, block["snippet"])


_ADVERTISEMENT = re.compile(r"^https?://(?:[a-z]+\.)?duckduckgo\.com/y\.js\b")
_SNIPPET = (".result__snippet", None)


def _target(url: str) -> str:
    """Where a link leads that goes by DuckDuckGo's own redirect."""
    parts = urllib.parse.urlsplit(url)
    named = urllib.parse.parse_qs(parts.query).get("uddg")
    return named[0] if named and parts.path.rstrip("/").endswith("/l") else url


# Those with an interface for programs


def _ask_searxng(wanted: Wanted) -> Asking:
    return Asking(
        url=_with(
            wanted.endpoint.rstrip("/").removesuffix("/search") + "/search",
            q=wanted.text,
            format="json",
            categories={"web": "general"}.get(wanted.kind, wanted.kind),
            safesearch=1 if wanted.safe else 0,
            language=wanted.language,
            pageno=None if not wanted.first else wanted.first // 10 + 1,
        )
    )


def _read_searxng(answer: Answer, _kind: Kind) -> Iterable[Hit]:
    return _hits(_json(answer).get("results"), "title", "url", "content")


def _ask_google(wanted: Wanted) -> Asking:
    return Asking(
        url=_with(
            wanted.endpoint,
            key=wanted.key,
            cx=wanted.google_engine_id,
            q=wanted.text,
            num=min(wanted.count, 10),
            start=wanted.first + 1,
            safe="active" if wanted.safe else "off",
            hl=wanted.language,
            searchType="image" if wanted.kind == "images" else None,
        )
    )


def _read_google(answer: Answer, _kind: Kind) -> Iterable[Hit]:
    return _hits(_json(answer).get("items"), "title", "link", "snippet")


def _ask_brave(wanted: Wanted) -> Asking:
    return Asking(
        url=_with(
            f"{wanted.endpoint.rstrip('/')}/{wanted.kind}/search",
            q=wanted.text,
            count=min(wanted.count, 20),
            safesearch="strict" if wanted.safe else "off",
            search_lang=wanted.language,
            offset=None if wanted.kind == "images" or not wanted.first else wanted.first // 20,
        ),
        headers={"X-Subscription-Token": wanted.key, "Accept": JSON_TYPE},
    )


def _read_brave(answer: Answer, kind: Kind) -> Iterable[Hit]:
    said = _json(answer)
    found = said.get("web", {}).get("results") if kind == "web" else said.get("results")
    return _hits(found, "title", "url", "description")


def _ask_serpapi(wanted: Wanted) -> Asking:
    return Asking(
        url=_with(
            wanted.endpoint,
            engine={"web": "google", "news": "google_news", "images": "google_images"}[wanted.kind],
            q=wanted.text,
            api_key=wanted.key,
            num=wanted.count if wanted.kind == "web" else None,
            safe="active" if wanted.safe else "off",
            hl=wanted.language,
        )
    )


def _read_serpapi(answer: Answer, kind: Kind) -> Iterable[Hit]:
    name = {"web": "organic_results", "news": "news_results", "images": "images_results"}[kind]
    said = _json(answer)
    if name not in said and said.get("error") and "hasn't returned any results" not in str(said["error"]):
        raise ToolFailure(f"SerpApi: {said['error']}")
    return _hits(said.get(name), "title", "original" if kind == "images" else "link", "snippet")


def _ask_serperdev(wanted: Wanted) -> Asking:
    path = {"web": "search"}.get(wanted.kind, wanted.kind)
    asked: dict[str, Any] = {"q": wanted.text, "num": wanted.count, "safe": "active" if wanted.safe else "off"}
    if wanted.language:
        asked["hl"] = wanted.language
    return Asking(
        url=f"{wanted.endpoint.rstrip('/')}/{path}",
        method="POST",
        headers={"X-API-KEY": wanted.key, "Content-Type": JSON_TYPE},
        body=json_body(asked),
    )


def _read_serperdev(answer: Answer, kind: Kind) -> Iterable[Hit]:
    name = {"web": "organic"}.get(kind, kind)
    return _hits(_json(answer).get(name), "title", "imageUrl" if kind == "images" else "link", "snippet")


def _json(answer: Answer) -> Mapping[str, Any]:
    try:
        said = answer.json()
    except ValueError:
        said = None
    if not isinstance(said, dict):
        raise ToolFailure(f"{answer.url.partition('?')[0]} answered no JSON")
    return said


def _hits(found: Any, title: str, url: str, snippet: str) -> Iterable[Hit]:
    for one in found if isinstance(found, list) else ():
        if isinstance(one, dict) and one.get(url):
            yield Hit(*(str(one.get(name) or "") for name in (title, url, snippet)))


ENGINES: Mapping[str, Engine] = {
    "duckduckgo": Engine(
        endpoint="https://html.duckduckgo.com/html/",
        asking=_ask_duckduckgo,
        reading=_read_duckduckgo,
        kinds=("web",),
        needs_key=False,
    ),
    "searxng": Engine(
        asking=_ask_searxng,
        reading=_read_searxng,
        needs_key=False,
        page_size=10,
        explained={403: "it answers no programs: add json to search.formats in its settings.yml"},
    ),
    "google": Engine(
        endpoint="https://www.googleapis.com/customsearch/v1",
        asking=_ask_google,
        reading=_read_google,
        kinds=("web", "images"),
        page_size=10,
    ),
    "brave": Engine(
        endpoint="https://api.search.brave.com/res/v1", asking=_ask_brave, reading=_read_brave, page_size=20
    ),
    "serpapi": Engine(endpoint="https://serpapi.com/search.json", asking=_ask_serpapi, reading=_read_serpapi),
    "serperdev": Engine(endpoint="https://google.serper.dev", asking=_ask_serperdev, reading=_read_serperdev),
}
