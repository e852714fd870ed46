"""web-searcher: searches the web by a search service, by default one that needs no key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from llmspell_protocol.errors import ConfigError, Forbidden, InvalidRequest, Unsupported
from llmspell_tools.contract import Call, Outcome, Tool, ToolFailure
from llmspell_tools.limits.network import Network
from llmspell_tools.parameters import ToolParameters, parameter
from llmspell_tools.tools._search_engines import ENGINES, Engine, Hit, Kind, Wanted

_GONE = {"bing": "Microsoft ended the Bing Search API in August 2025"}
_OTHER_NAMES = {"serper": "serperdev", "ddg": "duckduckgo"}
_MOST_PAGES = 10


class Parameters(ToolParameters):
    """What `web-searcher` is called with."""

    input: str = parameter("what is searched for", also=("query", "q"), min_length=1, max_length=2000)
    provider: str | None = parameter(
        "duckduckgo, searxng, google, brave, serpapi or serperdev; left out: tools.search.default_engine",
        None,
        also=("engine",),
    )
    max_results: int | None = parameter(
        "how many results, up to tools.web_search.max_results; left out: tools.search.max_results", None, ge=1
    )
    search_type: Kind = parameter("what is searched", "web")
    safe_search: bool | None = parameter("leave out adult content; left out: tools.search.safe_search", None)
    language: str | None = parameter('such as "en"', None, pattern=r"^[A-Za-z]{2,3}(-[A-Za-z]{2,4})?$")


def run(wanted: Parameters, call: Call) -> Outcome:
    """Asks the service, page by page until there is enough or no more."""
    settings, limits = call.tables["search"], call.tables["web_search"]
    name, engine = _engine(wanted, settings)
    most = int(limits.get("max_results", 10))
    count = min(wanted.max_results or int(settings.get("max_results", 10)), most)
    asked = Wanted(
        text=wanted.input,
        count=count,
        kind=wanted.search_type,
        safe=bool(settings.get("safe_search", True)) if wanted.safe_search is None else wanted.safe_search,
        language=wanted.language,
        key=_key(name, engine, settings),
        endpoint=_endpoint(name, engine, settings),
        google_engine_id=str(settings.get("google_engine_id") or ""),
    )
    if name == "google" and not asked.google_engine_id:
        raise _unset("google_engine_id", "ID", "Google's search needs the id of a search engine")
    within_s = float(settings.get("timeout_seconds", 30))
    hits, left_out, duration_ms = _found(engine, asked, call.network, within_s)
    results = [
        {"title": hit.title, "url": hit.url, "snippet": hit.snippet, "provider": name, "rank": rank}
        for rank, hit in enumerate(hits, 1)
    ]
    metadata: dict[str, Any] = {"duration_ms": duration_ms, "search_type": wanted.search_type}
    if left_out:
        metadata["left_out_by_domain"] = left_out
    return Outcome(
        operation="search",
        result={"query": wanted.input, "provider": name, "count": len(results), "results": results},
        output=results,
        message=f"{len(results)} result{'s' * (len(results) != 1)} of {name} for {wanted.input!r}",
        metadata=metadata,
    )


def _found(engine: Engine, asked: Wanted, network: Network, within_s: float) -> tuple[list[Hit], int, float]:
    """The hits, how many more were in domains that are not allowed, and how long it took, in milliseconds."""
    web = network.web("web_search")
    hits: dict[str, Hit] = {}
    left_out, duration_ms = set[str](), 0.0
    for page in range(_MOST_PAGES if engine.page_size else 1):
        asking = engine.asking(replace(asked, first=page * (engine.page_size or 0)))
        left_s = max(0.001, within_s - duration_ms / 1000)
        answer = web.request(asking.method, asking.url, headers=asking.headers, body=asking.body, time_s=left_s)
        duration_ms += answer.duration_ms
        if answer.status >= 400:
            said = engine.explained.get(answer.status) or " ".join((answer.text() or "").split())[:300]
            said = said.replace(asked.key or "\0", "…")
            raise ToolFailure(f"{urlsplit(answer.url).hostname} answered {answer.status} {answer.reason}: {said}")
        before = len(hits) + len(left_out)
        for hit in engine.reading(answer, asked.kind):
            if _is_allowed(hit.url, network):
                hits.setdefault(hit.url, hit)
            else:
                left_out.add(hit.url)
        if len(hits) >= asked.count or len(hits) + len(left_out) == before:
            break
    return list(hits.values())[: asked.count], len(left_out), round(duration_ms, 3)


def _is_allowed(url: str, network: Network) -> bool:
    """Whether `tools.web_search.allowed_domains` and `blocked_domains` let a result pass."""
    try:
        network.demand_domain(urlsplit(url).hostname or "", 443, "web_search")
    except (Forbidden, InvalidRequest, ValueError):
        return False
    return True


def _engine(wanted: Parameters, settings: Mapping[str, Any]) -> tuple[str, Engine]:
    name = (wanted.provider or str(settings["default_engine"])).strip().lower()
    name = _OTHER_NAMES.get(name, name)
    if name in _GONE:
        raise Unsupported(f"provider '{name}': {_GONE[name]}", hint=f"there are {', '.join(ENGINES)}")
    if name not in ENGINES:
        raise InvalidRequest(f"Unknown provider: {wanted.provider}; there are {', '.join(ENGINES)}")
    engine = ENGINES[name]
    if wanted.search_type not in engine.kinds:
        others = [one for one, other in ENGINES.items() if wanted.search_type in other.kinds]
        raise Unsupported(
            f"{name} has no interface for a search of {wanted.search_type}", hint=f"provider: {', '.join(others)}"
        )
    return name, engine


def _key(name: str, engine: Engine, settings: Mapping[str, Any]) -> str:
    """The key, if it is for this engine: no other service is shown it."""
    if not engine.needs_key:
        return ""
    chosen = str(settings["default_engine"])
    is_for_it = chosen == name or chosen not in ENGINES or not ENGINES[chosen].needs_key
    if not settings.get("api_key"):
        raise _unset("api_key", "KEY", f"{name} needs a key")
    if not is_for_it:
        raise ConfigError(
            f"tools.search.api_key is the key of {chosen}, and is not sent to {name}",
            hint=f"llmspell config set tools.search.default_engine {name} tools.search.api_key KEY",
            details={"setting": "tools.search.default_engine"},
        )
    return str(settings["api_key"])


def _endpoint(name: str, engine: Engine, settings: Mapping[str, Any]) -> str:
    own = settings.get("endpoint") if settings["default_engine"] == name else None
    if not own and not engine.endpoint:
        raise _unset("endpoint", "URL", f"{name} has no usual address: it has to be the default engine, with one")
    return str(own or engine.endpoint)


def _unset(key: str, value: str, why: str) -> ConfigError:
    setting = f"tools.search.{key}"
    return ConfigError(why, hint=f"llmspell config set {setting} {value}", details={"setting": setting})


TOOL = Tool(
    name="web-searcher",
    description="Searches the web, news or images by a search service. The usual one needs no key.",
    category="web",
    level="safe",
    parameters=Parameters,
    run=run,
    needs=("net",),
    settings=("web_search", "search", "http_request", "network"),
    result="{query, provider, count, results: [{title, url, snippet, provider, rank}]}",
    keywords=("search", "web", "news", "images", "find", "duckduckgo", "google", "internet"),
)
