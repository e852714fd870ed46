"""Parameters of tools as a list: types, names and order, from any JSON Schema that a tool or a server may give."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmspell_protocol.tools.builtin import builtin_tools
from llmspell_protocol.tools.parameters import Parameter, parameters_of, problems_of


@pytest.mark.parametrize(
    ("schema", "kind"),
    [
        ({"type": "string"}, "string"),
        ({"type": "integer"}, "number"),
        ({"type": "number"}, "number"),
        ({"type": "boolean"}, "boolean"),
        ({"type": "array", "items": {"type": "string"}}, "array"),
        ({"type": "object"}, "object"),
        ({"type": ["string", "null"]}, "string"),
        ({"type": ["string", "number"]}, "any"),
        ({"anyOf": [{"type": "integer"}, {"type": "number"}, {"type": "null"}]}, "number"),
        ({"anyOf": [{"type": "string"}, {"type": "array"}]}, "any"),
        ({"oneOf": [{"$ref": "#/$defs/Text"}, {"type": "null"}]}, "string"),
        ({"$ref": "#/$defs/Text"}, "string"),
        ({"$ref": "#/$defs/Loop"}, "any"),
        ({"$ref": "#/$defs/nowhere"}, "any"),
        ({"enum": ["a", "b"]}, "string"),
        ({"enum": [1, "b"]}, "any"),
        ({}, "any"),
        (True, "any"),
    ],
)
def test_a_type_is_one_word(schema: Any, kind: str) -> None:
    definitions = {"Text": {"type": "string"}, "Loop": {"anyOf": [{"$ref": "#/$defs/Loop"}]}}
    (found,) = parameters_of({"properties": {"x": schema}, "$defs": definitions})
    assert found.type == kind


def test_what_is_required_comes_first_and_the_order_stays_else() -> None:
    properties = {name: {} for name in ("b", "a", "d", "c")}
    assert [one.name for one in parameters_of({"properties": properties, "required": ["c", "d"]})] == [*"dcba"]


def test_what_a_parameter_does_not_have_is_left_out_of_its_content() -> None:
    schema = {
        "properties": {
            "x": {"type": "string", "default": "a", "enum": ["a"], "x-also": ["y"], "description": "what"},
            "z": {"type": "array", "default": []},
            "n": {"type": "number", "default": 0},
        }
    }
    x, z, n = (one.as_content() for one in parameters_of(schema))
    assert x == {
        "name": "x",
        "type": "string",
        "description": "what",
        "required": False,
        "default": "a",
        "enum": ["a"],
        "also": ["y"],
    }
    assert z == {"name": "z", "type": "array", "description": "", "required": False, "default": []}
    assert n["default"] == 0


def test_every_tool_of_this_version_has_a_type_and_a_description_for_each_parameter() -> None:
    for tool in builtin_tools().values():
        for one in parameters_of(tool.parameters):
            assert one.type in ("string", "number", "boolean", "array", "object", "any"), (tool.name, one.name)
            assert one.description, (tool.name, one.name)


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5), lambda inner: st.lists(inner, max_size=3)
)
_SCHEMAS = st.recursive(
    st.just({}) | st.booleans(),
    lambda inner: st.fixed_dictionaries(
        {},
        optional={
            "type": st.sampled_from(["string", "null", "integer"]) | st.lists(st.sampled_from(["string", "null"])),
            "anyOf": st.lists(inner, max_size=3),
            "$ref": st.sampled_from(["#/$defs/A", "x", ""]),
            "default": _VALUES,
            "enum": st.lists(_VALUES, max_size=3),
        },
    ),
)


@given(st.dictionaries(st.text(max_size=5), _SCHEMAS, max_size=4), _SCHEMAS)
def test_any_schema_gives_a_list(properties: dict[str, Any], definition: Any) -> None:
    found = parameters_of({"properties": properties, "$defs": {"A": definition}})
    assert {one.name for one in found} == set(properties)
    assert all(isinstance(one, Parameter) and isinstance(one.type, str) for one in found)


def test_a_call_whose_function_checks_nothing_is_held_to_names_and_types() -> None:
    schema = {
        "type": "object",
        "properties": {
            "city": {"type": "string"},
            "days": {"type": "integer"},
            "unit": {"type": "string", "enum": ["c", "f"]},
            "places": {"type": "array"},
        },
        "required": ["city"],
    }
    assert problems_of(schema, {"city": "Kyoto", "days": 3, "unit": "c", "places": {}, "more": 1}) == []
    assert problems_of(schema, {"days": True, "unit": "k", "places": "one"}) == [
        ("city", "Missing required parameter 'city'"),
        ("days", "Parameter 'days': has to be of type number"),
        ("unit", "Parameter 'unit': has to be one of c, f"),
        ("places", "Parameter 'places': has to be of type array"),
    ]
