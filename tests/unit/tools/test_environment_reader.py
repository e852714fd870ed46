"""environment-reader: the client's variables as far as they are allowed, never the process's own."""

from __future__ import annotations

from typing import Any

import pytest

from llmspell_protocol.errors import Forbidden, InvalidRequest, Unsupported
from tests.support.tool_calls import Called, call_tool

CLIENT = {"CITY": "Wien", "CODE": "1", "SECRET": "s"}


def read(*allowed: str, **arguments: Any) -> Called:
    return call_tool("environment-reader", arguments, env=allowed, variables=CLIENT)


@pytest.mark.parametrize("name", ["variable_name", "name", "variable", "var_name"])
def test_a_variable_is_read_by_name_and_get_may_be_left_out(name: str) -> None:
    got = read("CITY", **{name: "CITY"})
    assert got.result == {"variable_name": "CITY", "value": "Wien", "found": True}
    assert got.output == "Wien"
    assert read("CITY", operation="get", **{name: "CITY"}).output == "Wien"


def test_one_that_is_not_set_is_not_found() -> None:
    assert read("NONE", name="NONE").result == {"variable_name": "NONE", "value": None, "found": False}


def test_what_is_not_allowed_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OWN", "the worker's")
    with pytest.raises(Forbidden, match="Variable not allowed: SECRET"):
        read("CITY", name="SECRET")
    assert read("*", name="OWN").result["found"] is False


def test_those_that_are_allowed_are_listed_all_or_by_pattern() -> None:
    listed = read("CITY", "CODE", operation="list")
    assert listed.result == {"variables": {"CITY": "Wien", "CODE": "1"}, "count": 2}
    assert listed.output == {"CITY": "Wien", "CODE": "1"}
    expected = {"variables": {"CODE": "1"}, "count": 1, "pattern": "CO*"}
    assert read("*", operation="pattern", pattern="CO*").result == expected
    assert read("*", pattern="CO*").result == expected
    assert read("*", operation="list").result["count"] == 3


def test_none_is_set() -> None:
    with pytest.raises(Unsupported, match="can't set CITY") as refused:
        read("CITY", operation="set", name="CITY", value="Graz")
    assert refused.value.hint is not None
    assert read("CITY", name="CITY").output == "Wien"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({}, "Missing required parameter 'operation'"),
        ({"operation": "get"}, r"'variable_name' \(or 'name', 'variable', 'var_name'\)"),
        ({"operation": "pattern"}, "Missing required parameter 'pattern'"),
        ({"operation": "drop"}, "Unknown operation: drop"),
    ],
)
def test_what_is_missing_is_told(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidRequest, match=said):
        read("*", **arguments)
