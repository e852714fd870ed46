"""What schemas and tools' parameters have to be before a backend is given them, and what becomes of them."""

from __future__ import annotations

import sys
from typing import Any

import jsonschema
import pytest

from llmspell_protocol.errors import InvalidRequest, LlmspellError, SchemaUnsupported
from llmspell_protocol.models import ChatRequest
from llmspell_providers.schemas.gate import admit
from llmspell_providers.schemas.grammars import Grammar
from llmspell_providers.schemas.size import demand_size
from tests.support.schema_table import (
    GOOD,
    MALFORMED,
    NOT_HELD,
    NOTHING_FITS,
    POINT,
    TOO_LARGE,
    nested,
    stands_alone,
    text,
)

GRAMMARS = [Grammar(), Grammar(integer_bounds=False), None]


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [("int", "integer"), ("str", "string"), ("bool", "boolean"), ("dict", None), ("Strng", "string")],
)
def test_a_wrong_type_is_answered_with_the_types_and_the_nearest(wrong: str, meant: str | None) -> None:
    for schema in ({"type": wrong}, {"type": "object", "properties": {"a": {"type": wrong}}}):
        with pytest.raises(InvalidRequest, match=f"'type' at '/.*' is wrong: '{wrong}' is not a type") as caught:
            passed(schema)
        said = "types are string, integer, number, boolean, object, array, null"
        assert caught.value.hint == (f"did you mean '{meant}'? {said}" if meant else said)


def passed(schema: Any, grammar: Grammar | None = GRAMMARS[0]) -> Any:
    """The schema that a backend is given."""
    request = ChatRequest(model="m", schema=schema)
    demand_size(request)
    return admit(request, grammar).schema


def passed_tool(parameters: Any) -> Any:
    """The parameters that a backend is given, of a tool in OpenAI's form."""
    tool = {"type": "function", "function": {"name": "f", "parameters": parameters}}
    request = ChatRequest(model="m", tools=[tool])
    demand_size(request)
    return admit(request, Grammar()).tools[0]["function"]["parameters"]


def in_tool(schema: Any) -> Any:
    """Parameters with one that is to fit a schema; definitions stand where references look for them."""
    return {"type": "object", "properties": {"a": schema}}


def label(row: Any) -> str:
    """A short name for a case."""
    return str(row)[:60]


@pytest.mark.parametrize("schema", [schema for schema, _ in GOOD], ids=label)
def test_a_schema_that_works_is_let_through_everywhere(schema: Any) -> None:
    assert passed(schema) is not None
    assert passed(schema, None) == schema


@pytest.mark.parametrize(("schema", "value"), [row for row in GOOD if row[1] is not None], ids=label)
def test_what_the_engine_is_given_is_a_schema_that_the_value_fits(schema: Any, value: Any) -> None:
    given = passed(schema)
    jsonschema.Draft202012Validator.check_schema(given)
    closed = {**POINT, "additionalProperties": True}
    if schema != closed and not (isinstance(value, str) and "é" in value):
        jsonschema.validate(value, given)
    jsonschema.validate(value, schema)


@pytest.mark.parametrize("grammar", GRAMMARS, ids=str)
@pytest.mark.parametrize(("schema", "keyword", "at"), NOTHING_FITS, ids=label)
def test_a_schema_that_nothing_fits_is_refused_for_every_backend(
    schema: Any, keyword: str, at: str, grammar: Grammar | None
) -> None:
    with pytest.raises(SchemaUnsupported) as caught:
        passed(schema, grammar)
    assert caught.value.details == {"keyword": keyword, "at": at}
    assert f"'{keyword}' at '{at}'" in caught.value.message


@pytest.mark.parametrize("grammar", GRAMMARS, ids=str)
@pytest.mark.parametrize(("schema", "keyword", "at"), MALFORMED, ids=label)
def test_what_is_no_schema_is_an_invalid_request_for_every_backend(
    schema: Any, keyword: str, at: str, grammar: Grammar | None
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        passed(schema, grammar)
    assert caught.value.details == {"keyword": keyword, "at": at}


@pytest.mark.parametrize(("schema", "keyword"), TOO_LARGE, ids=label)
def test_a_schema_that_is_too_large_is_refused_by_name(schema: Any, keyword: str) -> None:
    with pytest.raises(SchemaUnsupported) as caught:
        passed(schema)
    assert caught.value.details["keyword"] == keyword


@pytest.mark.parametrize(("schema", "keyword", "at"), NOT_HELD, ids=label)
def test_what_the_grammar_would_forget_or_read_otherwise_is_refused_with_its_place(
    schema: Any, keyword: str, at: str
) -> None:
    with pytest.raises(SchemaUnsupported) as caught:
        passed(schema)
    assert caught.value.details == {"keyword": keyword, "at": at}
    assert caught.value.hint


@pytest.mark.parametrize("keyword", ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"])
def test_a_grammar_without_bounds_refuses_them(keyword: str) -> None:
    with pytest.raises(SchemaUnsupported) as caught:
        passed({"type": "integer", keyword: 3}, Grammar(integer_bounds=False))
    assert caught.value.details["keyword"] == keyword


@pytest.mark.parametrize(
    ("schema", "given"),
    [
        ({"type": "integer", "minimum": 100}, {"type": "integer", "minimum": 100, "maximum": 10**15 - 1}),
        ({"type": "integer", "minimum": 1.5, "exclusiveMaximum": 4}, {"type": "integer", "minimum": 2, "maximum": 3}),
        (
            {"type": "integer", "minimum": 1, "exclusiveMinimum": 5, "maximum": 9},
            {"type": "integer", "minimum": 6, "maximum": 9},
        ),
        ({"type": "string", "maxLength": 5000}, {"type": "string"}),
        ({"type": "string", "minLength": 2.0}, {"type": "string", "minLength": 2}),
        ({"type": "integer", "enum": [1, "a"]}, {"enum": [1]}),
        (text("^a\\/b$"), text("^a/b$")),
    ],
    ids=label,
)
def test_what_the_grammar_would_read_otherwise_is_written_anew(schema: Any, given: Any) -> None:
    assert passed(schema) == given


def test_definitions_that_differ_in_other_characters_than_letters_stay_apart() -> None:
    given = passed(
        {
            "$defs": {"a-b": {"type": "null"}, "a_b": {"type": "integer"}},
            "type": "array",
            "prefixItems": [{"$ref": "#/$defs/a-b"}, {"$ref": "#/$defs/a_b"}],
        }
    )
    first, second = (one["$ref"].rpartition("/")[2] for one in given["prefixItems"])
    assert (given["$defs"][first], given["$defs"][second]) == ({"type": "null"}, {"type": "integer"})


@pytest.mark.parametrize(
    ("schema", "keyword", "at"), [row for row in NOTHING_FITS + MALFORMED if stands_alone(row[0])], ids=label
)
def test_a_tools_parameters_are_looked_at_like_a_schema(schema: Any, keyword: str, at: str) -> None:
    with pytest.raises((SchemaUnsupported, InvalidRequest)) as caught:
        passed_tool(in_tool(schema))
    assert caught.value.details == {"keyword": keyword, "at": f"/tools/0/function/parameters/properties/a{at}"}


@pytest.mark.parametrize(("schema", "keyword"), [row for row in TOO_LARGE if stands_alone(row[0])], ids=label)
def test_a_tools_parameters_are_not_larger_than_a_schema(schema: Any, keyword: str) -> None:
    with pytest.raises(SchemaUnsupported):
        passed_tool({**in_tool(schema), "required": ["a"]})


@pytest.mark.parametrize("schema", [schema for schema, _ in GOOD if stands_alone(schema)], ids=label)
def test_a_tool_with_parameters_that_work_is_let_through(schema: Any) -> None:
    assert passed_tool(in_tool(schema))["properties"].keys() == {"a"}


def test_a_tool_keeps_the_keywords_that_a_grammar_forgets_for_the_model_to_read() -> None:
    amount = {"type": "number", "minimum": 0, "description": "in euro", "default": 1}
    site = {"type": "string", "format": "uri"}
    given = passed_tool({"type": "object", "properties": {"amount": amount, "site": site}, "required": ["amount"]})
    assert given["properties"] == {"amount": amount, "site": site}


@pytest.mark.parametrize(
    ("tools", "keyword", "at"),
    [
        ([{"foo": 1}], "name", "/tools/0/name"),
        ([{"function": "weather"}], "tools", "/tools/0"),
        ([{"function": {"name": ""}}], "name", "/tools/0/function/name"),
        ([{"name": 'a"b'}], "name", "/tools/0/name"),
        ([{"name": "a"}, {"name": "a"}], "name", "/tools/1/name"),
        ([{"name": "a", "description": 3}], "description", "/tools/0/description"),
        ([{"name": "a", "parameters": []}], "schema", "/tools/0/parameters"),
        ([{"name": "a", "parameters": {"type": "string"}}], "type", "/tools/0/parameters/type"),
        ([{"name": f"f{number}"} for number in range(200)], "tools", "/tools"),
    ],
    ids=label,
)
def test_what_is_no_tool_is_an_invalid_request(tools: Any, keyword: str, at: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        admit(ChatRequest(model="m", tools=tools), Grammar())
    assert caught.value.details == {"keyword": keyword, "at": at}


def test_no_depth_ends_in_anything_but_a_refusal() -> None:
    for depth in (1, 10, 25, 29, 30, 31, 59, 60, 61, 400, sys.getrecursionlimit() * 3, 100_000):
        try:
            passed(nested(depth))
        except LlmspellError as error:
            assert error.code == "schema_unsupported"  # noqa: PT017 an error is one of two right outcomes
            assert depth > 20
