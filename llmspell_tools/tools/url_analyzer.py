"""url-analyzer: a URL in parts, and what the page behind it says of itself."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from llmspell_protocol.errors import InvalidRequest
from llmspell_tools.contract import Call, Outcome, Tool, ToolFailure
from llmspell_tools.limits.hosts import host_name, is_address
from llmspell_tools.parameters import ToolParameters, parameter
from llmspell_tools.web.markup import Page

_PORTS = {"http": 80, "https": 443, "ftp": 21, "ws": 80, "wss": 443, "ssh": 22}


class Parameters(ToolParameters):
    """What `url-analyzer` is called with."""

    input: str = parameter("the URL", also=("url",))
    fetch_metadata: bool = parameter("ask its server: status, kind, size, title, description", False)
    decode_params: bool = parameter("decode the query's parameters", True)


def run(wanted: Parameters, call: Call) -> Outcome:
    """Takes the URL apart; the network is used for `fetch_metadata` alone."""
    url = wanted.input.strip()
    parts = _parts(url)
    host = (parts.hostname or "") and _host(parts)
    result: dict[str, Any] = {
        "url": url,
        "scheme": parts.scheme,
        "host": host or None,
        "port": parts.port or _PORTS.get(parts.scheme),
        "path": parts.path,
        "query": parts.query or None,
        "fragment": parts.fragment or None,
        "has_credentials": "@" in parts.netloc,
        "query_params": _params(parts.query, decoded=wanted.decode_params),
        "path_segments": [unquote(segment) for segment in parts.path.split("/") if segment],
        "domain_info": _domain(host),
    }
    metadata: dict[str, Any] = {}
    if wanted.fetch_metadata:
        result["metadata"], metadata["duration_ms"] = _fetched(url, call)
    return Outcome(
        operation="analyze", result=result, output=result, message=f"{parts.scheme}: {host}", metadata=metadata
    )


def _parts(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port  # is looked at when it is asked for
    except ValueError as error:
        raise ToolFailure(f"'{url[:200]}' is not a URL: {str(error).lower()}") from None
    if not parts.scheme or re.search(r"[\x00-\x20\x7f\\]", url) or not (parts.netloc or parts.path):
        raise ToolFailure(f"'{url[:200]}' is not a URL")
    if parts.scheme in _PORTS and not parts.hostname:
        raise ToolFailure(f"'{url[:200]}' is not a URL: it has no host")
    return parts


def _host(parts: SplitResult) -> str:
    try:
        return host_name(parts.hostname or "")
    except InvalidRequest as error:
        raise ToolFailure(error.message) from None


def _params(query: str, *, decoded: bool) -> dict[str, Any]:
    """Parameters by name; those that come several times as a list."""
    if decoded:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=10_000)
    else:
        pairs = [(name, value) for name, _, value in (one.partition("=") for one in query.split("&") if one)]
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    return {name: values[0] if len(values) == 1 else values for name, values in found.items()}


def _domain(host: str) -> dict[str, Any] | None:
    if not host:
        return None
    if is_address(host):
        return {"is_ip": True, "version": 6 if ":" in host else 4}
    labels = host.split(".")
    return {"is_ip": False, "tld": labels[-1] if len(labels) > 1 else None, "labels": labels}


def _fetched(url: str, call: Call) -> tuple[dict[str, Any], float]:
    answer = call.network.web("web_tools", domains_of="web_tools").request("GET", url)
    found: dict[str, Any] = {
        "status_code": answer.status,
        "final_url": answer.url,
        "redirects": list(answer.redirects),
        "content_type": answer.header("content-type"),
        "content_length": len(answer.content),
        "last_modified": answer.header("last-modified"),
        "server": answer.header("server"),
    }
    if "html" in answer.media_type and (html := answer.text()) is not None:
        page = Page(html, answer.url)
        meta = page.meta
        found["title"] = page.title or None
        found["description"] = meta.get("description") or meta.get("og:description")
        found["image"] = meta.get("og:image")
    return found, answer.duration_ms


TOOL = Tool(
    name="url-analyzer",
    description="Takes a URL apart. With fetch_metadata it also asks the server what is there.",
    category="data",
    level="safe",
    parameters=Parameters,
    run=run,
    settings=("web_tools", "http_request", "network"),
    result=(
        "{url, scheme, host, port, path, query, fragment, has_credentials, query_params, path_segments, "
        "domain_info {is_ip, tld, labels}, metadata? {status_code, final_url, redirects, content_type, "
        "content_length, last_modified, server, title?, description?, image?}}"
    ),
    keywords=("url", "uri", "parse", "query", "link", "metadata"),
    example={"input": "https://example.com/a?x=1#top"},
)
