"""http-requester: every parameter, alias and error, against a real server."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import pytest

from llmspell_protocol.errors import Forbidden, InvalidRequest, Timeout
from tests.support.tool_calls import Called, call_tool
from tests.support.web_server import WebServer

ONCE: Mapping[str, Mapping[str, Any]] = {"network": {"max_retries": 0}}


def ask(
    arguments: Mapping[str, Any], net: tuple[str, ...] = ("127.0.0.1",), tables: Mapping[str, Any] | None = None
) -> Called:
    return call_tool("http-requester", arguments, net=net, tables={**ONCE, **(tables or {})})


def test_json_is_parsed_and_everything_else_is_text(web: WebServer) -> None:
    called = ask({"input": web.page("/json", {"a": [1, 2]})})
    assert called.result["status_code"] == 200
    assert called.result["headers"]["content-type"] == "application/json"
    assert called.result["body"] == called.output == {"a": [1, 2]}
    assert called.result["timestamp"].endswith("+00:00")
    assert called.outcome is not None
    assert called.outcome.metadata["method"] == "GET"
    assert called.outcome.metadata["url"] == web.url("/json")
    assert called.outcome.metadata["duration_ms"] > 0
    assert ask({"url": web.page("/text", "hällo")}).output == "hällo"
    broken = web.page("/broken", "{", headers={"Content-Type": "application/json"})
    assert ask({"url": broken}).output == "{"
    latin = web.page("/latin", "hällo".encode("latin-1"), headers={"Content-Type": "text/plain; charset=latin-1"})
    assert ask({"url": latin}).output == "hällo"
    assert ask({"url": web.page("/none", b"")}).output == ""


def test_bytes_are_given_in_base64(web: WebServer) -> None:
    url = web.page("/x", bytes(range(256)), headers={"Content-Type": "application/octet-stream"})
    called = ask({"url": url})
    assert base64.b64decode(called.output) == bytes(range(256))
    assert called.result["body_encoding"] == "base64"


@pytest.mark.parametrize("status", [204, 404, 418, 500])
def test_an_answer_of_any_status_is_a_success(web: WebServer, status: int) -> None:
    assert ask({"url": web.page("/", "", status)}).result["status_code"] == status


@pytest.mark.parametrize("method", ["GET", "post", "PUT", "patch", "DELETE", "head", "OPTIONS"])
def test_every_method_is_asked(web: WebServer, method: str) -> None:
    called = ask({"url": web.page("/", "hello"), "method": method})
    assert web.asked[0].method == method.upper()
    assert called.output == ("" if method == "head" else "hello")


def test_an_unknown_method_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="Unknown method: CONNECT"):
        ask({"url": "http://127.0.0.1/", "method": "CONNECT"})


@pytest.mark.parametrize(
    ("given", "body", "kind"),
    [
        ({"body": "plain"}, b"plain", "text/plain; charset=utf-8"),
        ({"body": {"ä": [1]}}, '{"ä": [1]}'.encode(), "application/json"),
        ({"body": [1, 2]}, b"[1, 2]", "application/json"),
        ({"body": 5}, b"5", "application/json"),
        ({"json": {"a": None}}, b'{"a": null}', "application/json"),
        ({"json": "text"}, b'"text"', "application/json"),
        ({"body": "<a/>", "headers": {"content-type": "text/xml"}}, b"<a/>", "text/xml"),
    ],
)
def test_a_body_is_sent_as_what_it_is(web: WebServer, given: dict[str, Any], body: bytes, kind: str) -> None:
    ask({"url": web.page("/"), "method": "POST", **given})
    assert web.asked[0].body == body
    assert web.asked[0].headers["content-type"] == kind


def test_what_is_no_json_is_refused(web: WebServer) -> None:
    with pytest.raises(InvalidRequest, match="no JSON"):
        ask({"url": web.url(), "method": "POST", "json": [float("nan")]})


@pytest.mark.parametrize(
    ("url", "query", "target"),
    [
        ("/", {"q": "a b&c", "n": 5}, "/?q=a+b%26c&n=5"),
        ("/?x=1", {"y": True}, "/?x=1&y=true"),
        ("/#part", {"tags": ["a", "b"]}, "/?tags=a&tags=b"),
        ("/", {}, "/"),
        ("/", [], "/"),
    ],
)
def test_a_query_is_added_to_the_url(web: WebServer, url: str, query: Any, target: str) -> None:
    web.page("/")
    ask({"url": web.url(url), "query": query})
    assert web.asked[0].target == target


@pytest.mark.parametrize(
    ("auth", "name", "value"),
    [
        ({"type": "basic", "username": "me", "password": "pä"}, "authorization", "Basic bWU6cMOk"),
        ({"type": "basic", "username": "me"}, "authorization", "Basic bWU6"),
        ({"username": "me", "password": "pä"}, "authorization", "Basic bWU6cMOk"),
        ({"type": "bearer", "token": "t0ken"}, "authorization", "Bearer t0ken"),
        ({"type": "api_key", "key": "k3y"}, "x-api-key", "k3y"),
        ({"type": "api_key", "key": "k3y", "header_name": "X-Mine"}, "x-mine", "k3y"),
        ({"type": "custom", "headers": {"X-A": 1}}, "x-a", "1"),
        ({"type": "none", "token": "t0ken"}, "authorization", None),
        ([], "authorization", None),
    ],
)
def test_credentials_are_sent_as_their_kind_says(web: WebServer, auth: Any, name: str, value: str | None) -> None:
    ask({"url": web.page("/"), "auth": auth})
    assert web.asked[0].headers.get(name) == value


@pytest.mark.parametrize(
    ("auth", "missing"),
    [({"type": "basic"}, "auth.username"), ({"type": "bearer"}, "auth.token"), ({"type": "api_key"}, "auth.key")],
)
def test_credentials_without_what_they_need_are_refused(auth: Any, missing: str) -> None:
    with pytest.raises(InvalidRequest, match=f"Missing required parameter '{missing}'"):
        ask({"url": "http://127.0.0.1/", "auth": auth})


def test_headers_of_the_call_win_over_those_of_the_settings(web: WebServer) -> None:
    tables = {"http_request": {"default_headers": {"User-Agent": "ours/1", "X-A": "settings"}}}
    ask({"url": web.page("/"), "headers": {"x-a": "call", "X-B": 2, "X-C": True}}, tables=tables)
    sent = web.asked[0].headers
    assert (sent["user-agent"], sent["x-a"], sent["x-b"], sent["x-c"]) == ("ours/1", "call", "2", "true")


def test_a_request_is_made_again_as_often_as_the_call_says(web: WebServer) -> None:
    statuses = [500, 503, 200]
    web.pages["/"] = lambda request: request.answer("", statuses.pop(0))
    retry = {"max_attempts": 3, "initial_delay_ms": 1, "max_delay_ms": 2, "backoff_factor": 2}
    called = ask({"url": web.url(), "method": "POST", "retry": retry})
    assert called.result["status_code"] == 200
    assert called.outcome is not None
    assert called.outcome.metadata["attempts"] == 3
    web.page("/teapot", "", 418)
    called = ask(
        {"url": web.url("/teapot"), "retry": {"max_attempts": 2, "initial_delay_ms": 1, "retry_on_status": [418]}}
    )
    assert called.outcome is not None
    assert called.outcome.metadata["attempts"] == 2


@pytest.mark.parametrize("given", [{"timeout_ms": 200}, {"timeout": 0.2}])
def test_a_call_ends_with_its_time(web: WebServer, given: dict[str, Any]) -> None:
    web.pages["/"] = lambda request: request.until_gone(b"", pause_s=0.05)
    with pytest.raises(Timeout, match=r"timed out after 0\.2s"):
        ask({"url": web.url(), **given})


def test_redirects_are_told(web: WebServer) -> None:
    web.page("/there", "ok")
    web.pages["/"] = lambda request: request.redirect("/there")
    called = ask({"url": web.url()})
    assert called.outcome is not None
    assert called.outcome.metadata["redirects"] == [web.url()]
    assert called.outcome.metadata["url"] == web.url("/there")


def test_a_host_that_is_not_allowed_is_refused(web: WebServer) -> None:
    with pytest.raises(Forbidden, match=r"Host blocked: 127\.0\.0\.1"):
        ask({"url": web.url()}, net=("*",))
    with pytest.raises(Forbidden, match=r"Host blocked: example\.com"):
        ask({"url": "http://example.com/"}, net=("127.0.0.1",))
    assert web.asked == []


def test_parameters_that_are_missing_or_wrong_are_named() -> None:
    with pytest.raises(InvalidRequest, match=r"Missing required parameter 'input' \(or 'url'\)"):
        ask({})
    with pytest.raises(InvalidRequest, match="Parameter 'headers'"):
        ask({"url": "http://127.0.0.1/", "headers": "x"})
    with pytest.raises(InvalidRequest, match="Unknown auth: digest"):
        ask({"url": "http://127.0.0.1/", "auth": {"type": "digest"}})
    with pytest.raises(InvalidRequest, match=r"query\.a has to be"):
        ask({"url": "http://127.0.0.1/", "query": {"a": {"b": 1}}})


def test_a_long_answer_is_told_as_it_comes(web: WebServer) -> None:
    called = ask({"url": web.page("/long", b"x" * (3 << 20))})
    assert len(called.output) == 3 << 20
    told = [figures["bytes"] for _, figures in called.progress]
    assert len(told) >= 2
    assert told == sorted(told)
