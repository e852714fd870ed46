"""graphql-query: every operation, alias and error, against a real server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from llmspell_protocol.errors import Forbidden, InvalidRequest, Unsupported
from tests.support.tool_calls import Called, call_tool
from tests.support.web_server import WebServer


def ask(arguments: Mapping[str, Any]) -> Called:
    return call_tool("graphql-query", arguments, net=["127.0.0.1"], tables={"network": {"max_retries": 0}})


@pytest.mark.parametrize("name", ["input", "query", "document"])
def test_a_query_gives_its_data(web: WebServer, name: str) -> None:
    url = web.page("/graphql", {"data": {"user": {"name": "Ada"}}, "extensions": {"cost": 1}})
    called = ask(
        {
            "endpoint": url,
            name: "query User($id: ID!) { user(id: $id) { name } }",
            "variables": {"id": "7"},
            "operation_name": "User",
            "headers": {"Authorization": "Bearer t"},
        }
    )
    assert called.result == {"data": {"user": {"name": "Ada"}}, "extensions": {"cost": 1}}
    assert called.output == {"user": {"name": "Ada"}}
    asked = web.asked[0]
    assert asked.json == {
        "query": "query User($id: ID!) { user(id: $id) { name } }",
        "variables": {"id": "7"},
        "operationName": "User",
    }
    assert (asked.method, asked.headers["authorization"]) == ("POST", "Bearer t")


def test_a_mutation_is_sent_once(web: WebServer) -> None:
    url = web.page("/graphql", {"data": {"add": 1}})
    assert ask({"operation": "mutation", "url": url, "mutation": "mutation { add }"}).output == {"add": 1}
    busy = web.page("/busy", "busy", 503)
    called = call_tool(
        "graphql-query",
        {"operation": "mutation", "endpoint": busy, "input": "mutation { add }"},
        net=["127.0.0.1"],
        tables={"network": {"max_retries": 3}},
    )
    assert "answered 503 Service Unavailable and no GraphQL: busy" in called.said
    assert sum(asked.target == "/busy" for asked in web.asked) == 1


def test_introspection_gives_the_schema(web: WebServer) -> None:
    url = web.page("/graphql", {"data": {"__schema": {"queryType": {"name": "Query"}}}})
    called = ask({"operation": "introspection", "endpoint": url, "variables": []})
    assert called.output == {"queryType": {"name": "Query"}}
    document = web.asked[0].json["query"]
    assert "__schema" in document
    assert document.count("{") == document.count("}")


def test_errors_beside_data_are_given_and_alone_are_a_failure(web: WebServer) -> None:
    error = {"message": "no such field", "path": ["x"]}
    partial = ask({"endpoint": web.page("/partial", {"data": {"a": None}, "errors": [error]}), "input": "{ a x }"})
    assert partial.result == {"data": {"a": None}, "errors": [error]}
    assert partial.outcome is not None
    assert "no such field" in partial.outcome.message
    alone = web.page("/alone", {"errors": [error, {"message": "nor this"}]}, 400)
    assert ask({"endpoint": alone, "input": "{ x }"}).said.endswith(": no such field; nor this")
    empty = web.page("/empty", {"data": None})
    assert "without data" in ask({"endpoint": empty, "input": "{ x }"}).said


@pytest.mark.parametrize("content", ["<html>", [1], {"a": 1}, ""])
def test_what_is_no_graphql_is_told(web: WebServer, content: Any) -> None:
    assert "and no GraphQL" in ask({"endpoint": web.page("/", content), "input": "{ x }"}).said


@pytest.mark.parametrize(
    "given", [{"operation": "subscription", "input": "{ x }"}, {"input": "subscription S { ticks }"}]
)
def test_subscriptions_are_not_done(web: WebServer, given: dict[str, Any]) -> None:
    with pytest.raises(Unsupported, match="no subscriptions"):
        ask({"endpoint": web.url(), **given})


def test_what_is_wrong_is_told(web: WebServer) -> None:
    with pytest.raises(InvalidRequest, match=r"Missing required parameter 'input' \(or 'query'\)"):
        ask({"endpoint": web.url()})
    with pytest.raises(InvalidRequest, match="Missing required parameter 'endpoint'"):
        ask({"input": "{ x }"})
    with pytest.raises(InvalidRequest, match="Unknown operation: explode"):
        ask({"operation": "explode", "endpoint": web.url()})
    with pytest.raises(Forbidden, match="Host blocked"):
        ask({"endpoint": "http://127.0.0.2/", "input": "{ x }"})
