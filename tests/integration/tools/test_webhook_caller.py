"""webhook-caller: every parameter, alias and error, against a real server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from llmspell_protocol.errors import Forbidden, InvalidRequest, Timeout
from tests.support.tool_calls import Called, call_tool
from tests.support.web_server import WebServer


def ask(arguments: Mapping[str, Any]) -> Called:
    return call_tool("webhook-caller", arguments, net=["127.0.0.1"])


@pytest.mark.parametrize("name", ["input", "url", "webhook_url"])
def test_a_payload_is_delivered(web: WebServer, name: str) -> None:
    url = web.page("/hook", {"ok": True})
    called = ask({name: url, "payload": {"event": "done"}, "headers": {"X-Signature": "abc"}})
    assert called.result["status_code"] == 200
    assert called.result["webhook_url"] == url
    assert called.result["response"] == called.output == {"ok": True}
    assert called.result["retries"] == 0
    assert called.result["response_time_ms"] > 0
    asked = web.asked[0]
    assert (asked.method, asked.json, asked.headers["x-signature"]) == ("POST", {"event": "done"}, "abc")
    assert asked.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("given", "body", "kind"),
    [
        ({}, b"{}", "application/json"),
        ({"payload": "text"}, b"text", "text/plain; charset=utf-8"),
        ({"body": [1]}, b"[1]", "application/json"),
        ({"data": {"a": 1}, "headers": []}, b'{"a": 1}', "application/json"),
        ({"payload": "a=1", "headers": {"Content-Type": "x/y"}}, b"a=1", "x/y"),
    ],
)
def test_a_payload_is_sent_as_what_it_is(web: WebServer, given: dict[str, Any], body: bytes, kind: str) -> None:
    ask({"url": web.page("/"), **given})
    assert (web.asked[0].body, web.asked[0].headers["content-type"]) == (body, kind)


@pytest.mark.parametrize("method", ["put", "PATCH", "POST", "GET", "DELETE"])
def test_the_method_can_be_chosen(web: WebServer, method: str) -> None:
    ask({"url": web.page("/"), "method": method})
    assert web.asked[0].method == method.upper()


def test_it_is_sent_again_until_it_arrives(web: WebServer) -> None:
    statuses = [503, 204]
    web.pages["/"] = lambda request: request.answer("", statuses.pop(0))
    assert ask({"url": web.url()}).result["retries"] == 1
    web.page("/down", "on fire", 500)
    assert "answered 500 Internal Server Error after 2 attempts: on fire" in (
        ask({"url": web.url("/down"), "max_retries": 1}).said
    )
    assert sum(asked.target == "/down" for asked in web.asked) == 2


def test_an_answer_that_is_no_2xx_is_a_failure(web: WebServer) -> None:
    said = ask({"url": web.page("/", "no such hook", 404)}).said
    assert said == f"{web.url()} answered 404 Not Found after 1 attempt: no such hook"


def test_what_is_wrong_is_told(web: WebServer) -> None:
    with pytest.raises(InvalidRequest, match="Missing required parameter 'input'"):
        ask({"payload": {}})
    with pytest.raises(InvalidRequest, match="Unknown method: HEAD"):
        ask({"url": web.url(), "method": "head"})
    with pytest.raises(InvalidRequest, match="max_retries"):
        ask({"url": web.url(), "max_retries": 1000})
    with pytest.raises(Forbidden, match="Host blocked"):
        ask({"url": "http://127.0.0.2/"})
    web.pages["/"] = lambda request: request.until_gone(b"", pause_s=0.05)
    with pytest.raises(Timeout, match=r"timed out after 0\.2s"):
        ask({"url": web.url(), "timeout": 0.2})
