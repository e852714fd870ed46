"""MCP servers of other clients' files: every form that is understood, secrets that become references, refusals."""

from __future__ import annotations

from typing import Any

import pytest

from llmspell_profiles.other_clients import imported, servers_in
from llmspell_profiles.schema.mcp import McpServers


def test_the_places_where_clients_keep_servers() -> None:
    one = {"time": {"command": "x"}}
    assert servers_in({"mcpServers": one}) == one
    assert servers_in({"servers": one, "inputs": []}) == one
    assert servers_in({"mcp": {"servers": one}, "editor.fontSize": 12}) == one
    assert servers_in({"other": one}) is None
    assert servers_in({"mcpServers": []}) is None


@pytest.mark.parametrize(
    ("entry", "table"),
    [
        (
            {"command": "npx", "args": ["-y", "some-server"], "cwd": "/srv"},
            {"command": "npx", "args": ["-y", "some-server"], "cwd": "/srv"},
        ),
        ({"type": "stdio", "command": "x", "env": {}}, {"command": "x"}),
        ({"command": "x", "disabled": True}, {"enabled": False, "command": "x"}),
        ({"type": "http", "url": "https://a.example/mcp"}, {"url": "https://a.example/mcp"}),
        ({"serverUrl": "https://a.example/mcp"}, {"url": "https://a.example/mcp"}),
        ({"httpUrl": "https://a.example/mcp"}, {"url": "https://a.example/mcp"}),
        (
            {"command": "x", "includeTools": ["a"], "excludeTools": ["b"]},
            {"command": "x", "allow": ["a"], "deny": ["b"]},
        ),
        (
            {"command": "x", "env": {"N": 3, "B": True, "D": "a$b"}},
            {"command": "x", "env": {"N": "3", "B": "true", "D": "a$$b"}},
        ),
        ({"command": "x", "env": {"A": "${env:B}"}}, {"command": "x", "env": {"A": {"variable": "B"}}}),
        ({"command": "x", "args": ["${env:HOME}/a", "$1"]}, {"command": "x", "args": ["${HOME}/a", "$$1"]}),
        (
            {"url": "https://a.example", "headers": {"Authorization": "Bearer ${TOKEN}"}},
            {"url": "https://a.example", "headers": {"Authorization": {"variable": "TOKEN", "prefix": "Bearer "}}},
        ),
    ],
)
def test_an_entry_becomes_a_table_that_the_schema_takes(entry: dict[str, Any], table: dict[str, Any]) -> None:
    found = imported({"time": entry})
    assert found.refused == {}
    assert found.tables == {"time": table}
    assert found.secrets == {}
    McpServers.check(dict(found.tables))


@pytest.mark.parametrize(
    ("key", "value", "prefix"),
    [
        ("GITHUB_TOKEN", "something", ""),
        ("ANYTHING", "sk-abcdefghijklmnop", ""),
        ("DATABASE_URL", "postgres://me:sesame@db/x", ""),
        ("Authorization", "Bearer sesame-open", "Bearer "),
    ],
)
def test_a_value_that_looks_like_a_secret_becomes_a_reference(key: str, value: str, prefix: str) -> None:
    found = imported({"a": {"url": "https://a.example", "headers": {key: value}}})
    name = f"mcp-a-{key.lower().replace('_', '-')}"
    assert found.tables["a"]["headers"][key] == {"secret": name, **({"prefix": prefix} if prefix else {})}
    assert found.secrets == {name: value.removeprefix(prefix)}
    assert "sesame" not in repr(found.tables)


@pytest.mark.parametrize("value", ["YOUR_API_KEY", "<your key>", "xxx", "", "${input:key}"])
def test_a_secret_that_the_file_has_no_value_for_is_wanting(value: str) -> None:
    found = imported({"a": {"command": "x", "env": {"API_KEY": value}}})
    assert found.secrets == {}
    assert len(found.wanting) == 1
    assert found.tables["a"]["env"]["API_KEY"] == {"secret": found.wanting[0]}


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        ("text", "it is no object"),
        ({}, "it has no command"),
        ({"command": "x", "url": "https://a"}, "it has a command and a URL"),
        ({"type": "sse", "url": "https://a"}, "the transport sse can't be spoken; streamable HTTP can"),
        ({"type": "websocket", "url": "https://a"}, "the transport websocket can't be spoken"),
        ({"type": "http", "command": "x"}, "it is said to be http, and has no url"),
        ({"command": "x", "envFile": ".env"}, "there is nothing here that means envFile"),
        ({"command": "x", "args": "y"}, "args is no list"),
        ({"command": "x", "args": ["--api-key", "abc"]}, "an argument looks like a secret"),
        ({"command": "x", "args": ["--token=abc"]}, "an argument looks like a secret"),
        ({"command": "x", "args": ["postgres://me:sesame@db/x"]}, "an argument looks like a secret"),
        ({"command": "x", "args": ["${workspaceFolder}"]}, "${workspaceFolder} means nothing here"),
        ({"command": "x", "env": {"A": "${B}${C}"}}, "A is put together from more than one value"),
        ({"command": "x", "env": {"A": "${B:-c}"}}, "A refers to ${B:-c}, which means nothing here"),
        ({"url": "https://a?api_key=sesame"}, "its URL has a secret in it"),
    ],
)
def test_what_a_table_cannot_say_is_refused(entry: Any, why: str) -> None:
    found = imported({"good": {"command": "x"}, "bad": entry})
    assert [*found.tables] == ["good"]
    assert why in found.refused["bad"]
    assert "sesame" not in found.refused["bad"]


def test_names_are_made_to_fit_and_others_can_be_left_out() -> None:
    found = imported({"My server": {"command": "x"}, "@scope/y": {"command": "y"}, "???": {"command": "z"}})
    assert [*found.tables] == ["My-server", "scope-y"]
    assert found.notes == ("'My server' is called My-server here", "'@scope/y' is called scope-y here")
    assert "its name has no letters or digits" in found.refused["???"]
    assert [*imported({"a": {"command": "x"}, "b": 3}, only=["a"]).tables] == ["a"]
