"""url-analyzer: URLs in parts, every parameter and error that needs no network."""

from __future__ import annotations

from typing import Any

import pytest

from llmspell_protocol.errors import Forbidden, InvalidRequest
from tests.support.tool_calls import call_tool


def test_a_url_is_taken_apart() -> None:
    called = call_tool(
        "url-analyzer", {"input": " https://me:pw@Sub.Example.com:8443/a%20b/c?x=1&y=a+b&x=2&flag=#top "}
    )
    assert called.result == called.output
    assert called.result == {
        "url": "https://me:pw@Sub.Example.com:8443/a%20b/c?x=1&y=a+b&x=2&flag=#top",
        "scheme": "https",
        "host": "sub.example.com",
        "port": 8443,
        "path": "/a%20b/c",
        "query": "x=1&y=a+b&x=2&flag=",
        "fragment": "top",
        "has_credentials": True,
        "query_params": {"x": ["1", "2"], "y": "a b", "flag": ""},
        "path_segments": ["a b", "c"],
        "domain_info": {"is_ip": False, "tld": "com", "labels": ["sub", "example", "com"]},
    }


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://127.0.0.1", {"port": 80, "domain_info": {"is_ip": True, "version": 4}, "path": ""}),
        ("http://2130706433/", {"host": "127.0.0.1", "domain_info": {"is_ip": True, "version": 4}}),
        ("https://[::1]/", {"port": 443, "host": "::1", "domain_info": {"is_ip": True, "version": 6}}),
        ("https://bücher.example/", {"host": "xn--bcher-kva.example"}),
        ("mailto:me@example.com", {"scheme": "mailto", "host": None, "port": None, "path": "me@example.com"}),
        ("file:///etc/hosts", {"scheme": "file", "host": None, "path": "/etc/hosts", "domain_info": None}),
        ("ftp://example.com/x", {"port": 21, "query": None, "fragment": None, "query_params": {}}),
        ("http://localhost:80/", {"domain_info": {"is_ip": False, "tld": None, "labels": ["localhost"]}}),
    ],
)
def test_every_kind_of_url_is_understood(url: str, expected: dict[str, Any]) -> None:
    result = call_tool("url-analyzer", {"url": url}).result
    assert {name: result[name] for name in expected} == expected


def test_parameters_are_decoded_or_left_as_they_are() -> None:
    url = "https://example.com/?q=a%20b&q=c&d"
    assert call_tool("url-analyzer", {"url": url}).result["query_params"] == {"q": ["a b", "c"], "d": ""}
    raw = call_tool("url-analyzer", {"url": url, "decode_params": False}).result["query_params"]
    assert raw == {"q": ["a%20b", "c"], "d": ""}


@pytest.mark.parametrize(
    "url",
    [
        *("example.com", "", "http://", "http://[::1", "http://a:port/", "http://a:99999/", "http://a b/"),
        *("http://a\\b/", "https:///x", "http://a..b/", "http:\x00//a"),
    ],
)
def test_what_is_no_url_is_a_failure(url: str) -> None:
    assert "is not" in call_tool("url-analyzer", {"input": url}).said


def test_what_is_wrong_is_told() -> None:
    with pytest.raises(InvalidRequest, match=r"Missing required parameter 'input' \(or 'url'\)"):
        call_tool("url-analyzer", {})
    with pytest.raises(Forbidden, match="Host blocked"):
        call_tool("url-analyzer", {"url": "http://127.0.0.1/", "fetch_metadata": True})
