"""What a JSON Schema may say to a model, and what a finished reply is held to."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from llmspell_protocol.errors import SchemaUnsupported, SchemaViolation
from llmspell_protocol.models import ChatMessage, ChatRequest
from llmspell_providers.mock import MockProvider
from llmspell_providers.schemas.reply import check_reply
BOUNDS=()
check_schema=None
from tests.support.chat_turns import turn

POINT = {"type": "object", "properties": {"x": {"type": "integer"}, "y": {"type": "integer"}}, "required": ["x"]}

UNDERSTOOD: list[dict[str, Any]] = [
    {},
    {"title": "a", "description": "b", "$schema": "https://json-schema.org/draft/2020-12/schema"},
    POINT,
    {**POINT, "additionalProperties": False},
    {"type": "object", "additionalProperties": {"type": "integer"}},
    {"type": "array", "items": POINT, "minItems": 1, "maxItems": 3},
    {"type": "array", "prefixItems": [{"type": "integer"}, {"type": "boolean"}]},
    {"type": "string", "minLength": 2, "maxLength": 9},
    {"type": "string", "pattern": "^[a-z]{2,5}(-[0-9]+)?$"},
    {"type": "string", "format": "date-time"},
    {"type": "integer", "minimum": 0, "exclusiveMaximum": 100},
    {"type": ["string", "null"], "maxLength": 3},
    {"enum": [1, "two", None]},
    {"const": {"deep": [1, 2]}},
    {"type": "string", "enum": ["red", "green"]},
    {"anyOf": [{"type": "integer"}, POINT]},
    {"allOf": [POINT, {"properties": {"z": {"type": "number"}}}]},
    {"$ref": "#/$defs/node", "$defs": {"node": {"properties": {"next": {"$ref": "#/$defs/node"}}}}},
    {"properties": {"anything": True}},
]

IGNORED: list[tuple[dict[str, Any], str, str]] = [
    ({"type": "array", "items": {"type": "integer"}, "uniqueItems": True}, "uniqueItems", "/uniqueItems"),
    (
        {"type": "object", "properties": {"n": {"type": "integer", "multipleOf": 7}}},
        "multipleOf",
        "/properties/n/multipleOf",
    ),
    ({"type": "number", "minimum": 0}, "minimum", "/minimum"),
    ({"type": "string", "format": "email"}, "format", "/format"),
    ({"type": "string", "pattern": "^a+$", "maxLength": 3}, "maxLength", "/maxLength"),
    ({"type": "string", "pattern": "a+"}, "pattern", "/pattern"),
    ({"type": "string", "pattern": "^(?=a)b$"}, "pattern", "/pattern"),
    ({"type": "string", "pattern": "^\\d{3}$"}, "pattern", "/pattern"),
    ({"type": "string", "pattern": "^a+?$"}, "pattern", "/pattern"),
    ({"type": "object", "patternProperties": {"^x": {}}}, "patternProperties", "/patternProperties"),
    ({"type": "object", "required": ["a"]}, "required", "/required"),
    ({**POINT, "required": ["z"]}, "required", "/required"),
    ({**POINT, "minProperties": 1}, "minProperties", "/minProperties"),
    ({**POINT, "anyOf": [{"required": ["y"]}]}, "type", "/type"),
    ({"type": "array", "minItems": 2}, "minItems", "/minItems"),
    ({"type": "array", "prefixItems": [{"type": "integer"}], "minItems": 1}, "minItems", "/minItems"),
    ({"allOf": [{"type": "string"}, {"minLength": 2}]}, "allOf", "/allOf/0"),
    ({"minimum": 3}, "minimum", "/minimum"),
    ({"not": {"type": "string"}}, "not", "/not"),
    ({"if": POINT, "then": POINT}, "if", "/if"),
    ({"type": "text"}, "type", "/type"),
    ({"$ref": "https://example.org/schema"}, "$ref", "/$ref"),
    ({"$ref": "#/$defs/nothing"}, "$ref", "/$ref"),
    ({"$ref": "#/$defs/a", "$defs": {"a": {"type": "string", "not": {}}}}, "not", "/$defs/a/not"),
    ({"anyOf": [{"type": "integer"}, {"type": "string", "format": "ipv4"}]}, "format", "/anyOf/1/format"),
    ({"properties": {"never": False}}, "false", "/properties/never"),
    ({"type": ["string", "integer"], "minItems": 3}, "minItems", "/minItems"),
]


@pytest.mark.parametrize("schema", UNDERSTOOD, ids=str)
def test_a_schema_that_the_grammar_knows_is_let_through(schema: dict[str, Any]) -> None:
    check_schema(schema)


@pytest.mark.parametrize(("schema", "keyword", "at"), IGNORED, ids=[str(row[0]) for row in IGNORED])
def test_a_keyword_that_would_be_ignored_is_refused_with_its_place(
    schema: dict[str, Any], keyword: str, at: str
) -> None:
    with pytest.raises(SchemaUnsupported) as caught:
        check_schema(schema)
    assert caught.value.details == {"keyword": keyword, "at": at}
    assert caught.value.hint


def test_an_engine_without_bounds_refuses_them() -> None:
    with pytest.raises(SchemaUnsupported) as caught:
        check_schema({"type": "integer", "minimum": 3}, without=BOUNDS)
    assert caught.value.details["keyword"] == "minimum"


def test_a_reply_that_fits_passes() -> None:
    check_reply('{"x": 1}', POINT, finish_reason="stop")


@pytest.mark.parametrize(
    ("text", "at"), [('{"y": 1}', ""), ('{"x": "one"}', "/x"), ("[1, 2]", ""), ("no JSON at all", ""), ("", "")]
)
def test_a_reply_that_does_not_fit_is_a_violation_with_its_place(text: str, at: str) -> None:
    with pytest.raises(SchemaViolation) as caught:
        check_reply(text, POINT, finish_reason="stop")
    assert caught.value.details == {"text": text, "at": at, "finish_reason": "stop"}


@pytest.mark.parametrize("reason", ["length", "context_full"])
def test_a_reply_that_was_cut_says_that_it_was(reason: str) -> None:
    with pytest.raises(SchemaViolation, match=f"cut \\({reason}\\)") as caught:
        check_reply('{"x": 1', POINT, finish_reason=reason)
    assert caught.value.hint == "raise max_tokens"


WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({"type": 3}, "type", "/type"),
    ({"type": "text"}, "type", "/type"),
    ({"properties": {"x": {"type": ["integer", 3]}}}, "type", "/properties/x/type"),
    ({"properties": {"x": 3}}, "properties", "/properties/x"),
    ({"required": "x"}, "required", "/required"),
    ({"pattern": "("}, "pattern", "/pattern"),
    ({"pattern": "a{99999999999999999999}"}, "pattern", "/pattern"),
    ({"$schema": []}, "$schema", "/$schema"),
    ({"properties": {"x": {"$ref": "#/$defs/nothing"}}}, "$ref", "/properties/x/$ref"),
    ({"$ref": "http://127.0.0.1:9/schema"}, "$ref", "/$ref"),
    ({"$ref": "#"}, "$ref", "/$ref"),
    ({"$ref": "#/$defs/a", "$defs": {"a": {"allOf": [{"$ref": "#/$defs/a"}]}}}, "$ref", "/$ref"),
]


@pytest.mark.parametrize(("schema", "keyword", "at"), WRONG, ids=[str(row[0]) for row in WRONG])
def test_a_schema_that_is_wrong_itself_is_refused_with_its_keyword_and_place(
    schema: dict[str, Any], keyword: str, at: str
) -> None:
    with pytest.raises(SchemaUnsupported) as caught:
        check_reply('{"x": 1}', schema, finish_reason="stop")
    assert caught.value.details == {"keyword": keyword, "at": at}


MALFORMED: list[tuple[dict[str, Any], str, str]] = [
    ({"type": {}}, "type", "/type"),
    ({"type": [[3]]}, "type", "/type"),
    ({"$ref": []}, "$ref", "/$ref"),
    ({"anyOf": 3}, "anyOf", "/anyOf"),
    ({"allOf": 3}, "allOf", "/allOf"),
    ({"allOf": [{"properties": 3}]}, "properties", "/allOf/0/properties"),
    ({"prefixItems": 3}, "prefixItems", "/prefixItems"),
    ({"properties": [1]}, "properties", "/properties"),
    ({"properties": {"x": {"properties": {}, "required": 3}}}, "required", "/properties/x/required"),
    ({"properties": {}, "required": [[]]}, "required", "/required"),
    ({"enum": 3}, "enum", "/enum"),
    ({"type": "string", "minLength": "a"}, "minLength", "/minLength"),
    ({"type": "integer", "minimum": "a"}, "minimum", "/minimum"),
]


@pytest.mark.parametrize(("schema", "keyword", "at"), MALFORMED, ids=[str(row[0]) for row in MALFORMED])
def test_a_malformed_schema_is_refused_before_and_after_the_generation(
    schema: dict[str, Any], keyword: str, at: str
) -> None:
    with pytest.raises(SchemaUnsupported) as caught:
        check_schema(schema)
    assert caught.value.details == {"keyword": keyword, "at": at}
    with pytest.raises(SchemaUnsupported):
        check_reply("null", schema, finish_reason="stop")


@pytest.mark.parametrize("schema", [{"type": 3}, {"enum": 3}, {"type": "array", "items": 3, "minItems": 1}], ids=str)
def test_a_backend_that_reads_no_schema_itself_leaves_a_wrong_one_to_the_check(schema: dict[str, Any]) -> None:
    async def chat() -> None:
        request = ChatRequest(model="mock/a", messages=[ChatMessage(role="user", content="hi")], schema=schema)
        async for _ in turn(MockProvider(), request):
            pass

    with pytest.raises(SchemaUnsupported):
        asyncio.run(chat())


def test_a_reply_that_is_nested_too_deeply_is_a_violation() -> None:
    node = {"$ref": "#/$defs/node", "$defs": {"node": {"type": "array", "items": {"$ref": "#/$defs/node"}}}}
    check_reply("[[[]]]", node, finish_reason="stop")
    for depth in (900, 100_000):
        with pytest.raises(SchemaViolation, match="nested too deeply"):
            check_reply("[" * depth + "]" * depth, node, finish_reason="stop")


def test_a_schema_that_is_nested_too_deeply_is_refused() -> None:
    schema: dict[str, Any] = {}
    for _ in range(3000):
        schema = {"items": schema}
    with pytest.raises(SchemaUnsupported, match="nested too deeply"):
        check_reply("[]", schema, finish_reason="stop")
    with pytest.raises(SchemaUnsupported, match="nested too deeply"):
        check_schema(schema)
