"""data-validator: every rule in every form, and JSON Schema."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmspell_protocol.errors import InvalidRequest
from tests.support.tool_calls import Called, call_tool

CARD, UUID = "4111 1111 1111 1111", "123e4567-e89b-12d3-a456-426614174000"


def check(value: Any, rules: Any = None, **others: Any) -> Called:
    return call_tool("data-validator", {"input": value, "rules": rules, **others})


def errors(value: Any, rules: Any) -> list[tuple[str, str]]:
    return [(one["field"], one["rule"]) for one in check(value, rules).result["errors"]]


@pytest.mark.parametrize(
    ("rule", "good", "bad"),
    [
        ({"type": "type", "expected": "string"}, ["", "a"], [1, True, [], {}]),
        ({"type": "type", "expected": "number"}, [1, 1.5], ["1", True]),
        ({"type": "type", "expected": "integer"}, [1, 2.0], [1.5, True, "1"]),
        ({"type": "type", "expected": "boolean"}, [True, False], [0, 1, "true"]),
        ({"type": "type", "expected": "array"}, [[], [1], {}], [{"a": 1}, "[]"]),
        ({"type": "type", "expected": "object"}, [{}, {"a": 1}, []], [[1], "{}"]),
        ({"type": "length", "min": 2, "max": 3}, ["ab", "äöü", [1, 2]], ["a", "abcd", [1], 5]),
        ({"type": "range", "min": 0, "max": 1.5}, [0, 1.5], [-1, 2, "1", True]),
        ({"type": "pattern", "regex": "^[a-z]+$"}, ["abc"], ["", "A", 5]),
        ({"type": "enum", "values": ["a", 1, None]}, ["a", 1, 1.0], ["b", True, "1"]),
        (
            {"type": "email"},
            ["a@b.co", "a.b+c@x-y.example.org"],
            ["a", "a@b", "@b.co", "a@b..co", "a b@c.de", ".a@b.co"],
        ),
        (
            {"type": "url"},
            ["https://a.b/c?d#e", "ftp://h", "ws://h:1"],
            ["a.b", "http://", "javascript:x", "http://a b"],
        ),
        ({"type": "date"}, ["2026-01-02", "2026-01-02T03:04:05Z"], ["2026-13-01", "2.1.2026", 5]),
        ({"type": "date", "format": "%d.%m.%Y"}, ["02.01.2026"], ["2026-01-02"]),
        ({"type": "array", "min_items": 1, "max_items": 2}, [[1], [1, 2]], [[], [1, 2, 3], {"a": 1}, "x"]),
        ({"type": "array", "unique": True}, [[1, True, "1"], []], [[1, 1.0], [[1], [1]]]),
        ({"type": "array", "item_rules": {"rules": [{"type": "range", "min": 3}]}}, [[3, 4]], [[3, 2]]),
        ({"type": "array", "items": {"type": "string", "min_length": 1}}, [["a"]], [[""], [1]]),
        ({"type": "object", "properties": {"a": {"rules": [{"type": "required"}]}}}, [{"a": 1}], [{}, [1]]),
        ({"type": "object", "required": ["a"]}, [{"a": 0}], [{"a": ""}, {"b": 1}]),
        ({"type": "object", "properties": {"a": []}, "additional_properties": False}, [{"a": 1}], [{"b": 1}]),
        ({"type": "custom", "name": "phone"}, ["+49 30 1234567", "5551234567"], ["12", "abc", "+"]),
        ({"type": "custom", "name": "uuid"}, [UUID, UUID.upper()], [UUID[:-1], UUID.replace("-", "")]),
        ({"type": "custom", "name": "credit_card"}, [CARD, "378282246310005"], ["4111 1111 1111 1112", "4", 4]),
        ({"type": "required"}, [0, False, "a", [], {}], [""]),
        ({"type": "string", "min_length": 2, "pattern": "^x"}, ["xy"], ["x", "yy", 1]),
        ({"type": "number", "min": 1, "max": 2}, [1, 2.0], [0, 3, "1"]),
        ("email", ["a@b.co"], ["a"]),
        ("integer", [1], ["1"]),
    ],
)
def test_a_rule_holds_for_what_keeps_to_it(rule: Any, good: list[Any], bad: list[Any]) -> None:
    for form in ([rule], {"rules": [rule]}, rule):
        for value in good:
            assert check(value, form).result == {"valid": True, "errors": []}, value
        for value in bad:
            called = check(value, form)
            assert called.output is False, value
            assert set(called.result["errors"][0]) == {"field", "value", "rule", "message"}
    # By field, a rule holds in the same way.
    assert check({"f": bad[0]}, {"f": rule}).result["errors"][0]["field"].startswith("f")


def test_every_rule_that_is_broken_is_told_with_its_place() -> None:
    value = {"email": "x", "age": 3, "tags": ["a", 1], "inner": {"a": ""}}
    rules = {
        "email": {"type": "email"},
        "age": [{"type": "integer"}, {"type": "range", "min": 18}],
        "name": {"type": "string", "required": True},
        "tags": {"type": "array", "item_rules": "string"},
        "inner": {"type": "object", "properties": {"a": "required", "b": {"type": "object", "required": ["c"]}}},
        "inner.a": "required",
        "nickname": {"type": "string"},
    }
    assert errors(value, rules) == [
        ("email", "email"),
        ("age", "range"),
        ("name", "required"),
        ("tags[1]", "type"),
        ("inner.a", "required"),
        ("inner.a", "required"),
    ]


def test_rules_by_field_need_an_object() -> None:
    assert errors("x", {"a": "required"}) == [("", "object")]
    # A field may be named as a rule's key is.
    assert errors({"type": "x"}, {"type": {"type": "enum", "values": ["y"]}}) == [("type", "enum")]


def test_no_more_than_a_hundred_errors_are_told() -> None:
    assert len(errors([0] * 500, [{"type": "array", "items": "string"}])) == 100


@pytest.mark.parametrize(
    ("rules", "why"),
    [
        ([{"type": "nothing"}], "there is no rule 'nothing'"),
        ([5], "a rule is"),
        ([{"type": "type"}], "needs 'expected'"),
        ([{"type": "type", "expected": "text"}], "there is no type 'text'"),
        ([{"type": "pattern"}], "needs 'regex'"),
        ([{"type": "pattern", "regex": "("}], "no regular expression"),
        ([{"type": "enum"}], "needs 'values'"),
        ([{"type": "custom", "name": "iban"}], "there is no custom rule 'iban'"),
        ([{"type": "length", "min": "2"}], "min"),
        ([{"type": "range", "mni": 2}], "mni"),
        ({"a": {"type": "array", "items": {"type": "nothing"}}}, r"a\[\]: there is no rule"),
        ("{", "not valid JSON"),
    ],
)
def test_wrong_rules_are_refused(rules: Any, why: str) -> None:
    with pytest.raises(InvalidRequest, match=f"Parameter 'rules'.*{why}"):
        check({"a": [1]}, rules)


def test_rules_inside_each_other_end() -> None:
    rules: Any = "string"
    for _ in range(200):
        rules = {"type": "array", "items": rules}
    with pytest.raises(InvalidRequest, match="inside each other"):
        check([], rules)


def test_a_schema_stands_in_place_of_rules() -> None:
    schema = {
        "type": "object",
        "properties": {
            "when": {"format": "date-time"},
            "mail": {"format": "email"},
            "l": {"items": {"type": "string"}},
        },
        "required": ["id"],
    }
    called = check({"when": "soon", "mail": "x", "l": ["a", 1]}, schema=schema)
    assert [(one["field"], one["rule"]) for one in called.result["errors"]] == [
        ("", "required"),
        ("l[1]", "type"),
        ("mail", "format"),
        ("when", "format"),
    ]
    good = {"id": 1, "when": "2026-01-02T03:04:05Z", "mail": "a@b.co", "l": []}
    assert check(good, schema=schema).output is True
    with pytest.raises(InvalidRequest, match="Parameter 'schema'"):
        check(good, schema={"type": "nothing"})


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("date", "2026-01-02", "2026-1-2"),
        ("time", "03:04:05Z", "03:04"),
        ("ipv4", "1.2.3.4", "1.2.3"),
        ("ipv6", "::1", "1.2.3.4"),
        ("uuid", UUID, "x"),
        ("uri", "urn:x", "x"),
        ("regex", "a+", "("),
    ],
)
def test_formats_of_a_schema_are_checked(name: str, good: str, bad: str) -> None:
    assert check(good, schema={"format": name}).output is True
    assert check(bad, schema={"format": name}).output is False


def test_the_data_and_rules_are_needed() -> None:
    assert call_tool("data-validator", {"data": "x", "rules": '["required"]'}).output is True
    with pytest.raises(InvalidRequest, match=r"'rules' \(or 'schema'\)"):
        check("x")
    with pytest.raises(InvalidRequest, match="'input'"):
        call_tool("data-validator", {"rules": ["required"]})
    deep: Any = []
    for _ in range(200):
        deep = [deep]
    assert "nested deeper" in check(deep, ["array"]).said


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))
def test_a_range_is_arithmetic_s(value: float, least: float, most: float) -> None:
    assert check(value, [{"type": "range", "min": least, "max": most}]).output is (least <= value <= most)
