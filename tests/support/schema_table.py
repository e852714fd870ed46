"""Schemas and what the gate makes of them: what works, what nothing fits, what is no schema, what is too large."""

from __future__ import annotations

import math
from typing import Any

Schema = dict[str, Any]

POINT: Schema = {
    "type": "object",
    "properties": {"x": {"type": "integer"}, "y": {"type": "integer"}},
    "required": ["x"],
}
NODE: Schema = {
    "$ref": "#/$defs/node",
    "$defs": {"node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}}}},
}


def text(pattern: str) -> Schema:
    """A text of a pattern."""
    return {"type": "string", "pattern": pattern}


def nested(depth: int, inside: Schema | None = None) -> Schema:
    """Arrays in arrays."""
    schema: Schema = inside or {"type": "integer"}
    for _ in range(depth):
        schema = {"type": "array", "items": schema}
    return schema


def stands_alone(schema: Any) -> bool:
    """Whether a schema means the same inside another one."""
    return not any(word in str(schema) for word in ("$ref", "$defs", "$schema"))


def tree(width: int, depth: int) -> Schema:
    """Alternatives of alternatives."""
    return {"type": "integer"} if not depth else {"anyOf": [tree(width, depth - 1) for _ in range(width)]}


def object_of(count: int, **words: Any) -> Schema:
    """An object with so many properties."""
    return {"type": "object", "properties": {f"p{number}": {"type": "integer"} for number in range(count)}, **words}


def widening(levels: int) -> Schema:
    """References that double at each step: small to write, 2^levels alternatives."""
    steps: Schema = {f"n{at}": {"anyOf": [{"$ref": f"#/$defs/n{at + 1}"}] * 2} for at in range(levels)}
    return {"$ref": "#/$defs/n0", "$defs": {**steps, f"n{levels}": {"type": "integer"}}}


GOOD: list[tuple[Schema, Any]] = [
    ({}, {"a": 1}),
    ({"title": "a", "description": "b", "$schema": "https://json-schema.org/draft/2020-12/schema"}, 1),
    (POINT, {"x": 1}),
    ({**POINT, "additionalProperties": False}, {"x": 1, "y": 2}),
    ({"type": "object", "additionalProperties": {"type": "integer"}}, {"a": 1}),
    ({**POINT, "additionalProperties": True}, {"x": 1, "z": "a"}),
    ({"properties": {'a"b': {}, "c]": {}}, "additionalProperties": {"type": "null"}}, {'a"b': 1}),
    ({"type": "array", "items": POINT, "minItems": 1, "maxItems": 3}, [{"x": 1}]),
    ({"type": "array", "minItems": 2}, [1, "a"]),
    ({"type": "array"}, []),
    ({"type": "array", "items": True, "maxItems": 1_000_000}, [None]),
    ({"type": "array", "prefixItems": [{"type": "integer"}, {"type": "boolean"}]}, [1, True]),
    ({"type": "array", "prefixItems": [{"type": "integer"}], "items": False, "minItems": 1}, [1]),
    ({"type": "array", "prefixItems": [{"type": "integer"}, {"type": "null"}], "maxItems": 1}, [1]),
    ({"type": "array", "items": {"type": "null"}, "minItems": 2.0, "maxItems": 2.0}, [None, None]),
    ({"type": "string", "minLength": 2, "maxLength": 9}, "abc"),
    ({"type": "string", "minLength": 2.0}, "abc"),
    ({"type": "string", "maxLength": 0}, ""),
    ({"type": "string", "maxLength": 5000}, "a" * 4000),
    (text("^[a-z]{2,5}(-[0-9]+)?$"), "ab-1"),
    (text("^a\\/b$"), "a/b"),
    (text("^\\d{3}-\\w+$"), "123-ab"),
    (text("^.{3}$"), "abc"),
    (text("^[^,]+$"), "abc"),
    (text("^a$|^b$"), "b"),
    (text("^a+?b$"), "aab"),
    (text("^é{2}$"), "éé"),
    (text("^(?:a|b)\\.c$"), "a.c"),
    ({"type": "string", "format": "date-time"}, "2026-01-01T00:00:00Z"),
    ({"type": "integer", "minimum": 0, "exclusiveMaximum": 100}, 5),
    ({"type": "integer", "minimum": 100}, 150),
    ({"type": "integer", "maximum": -3}, -7),
    ({"type": "integer", "minimum": 1.5, "maximum": 3.5}, 2),
    ({"type": "integer", "minimum": 1, "exclusiveMinimum": 5}, 6),
    ({"type": "integer", "minimum": -1e30, "maximum": 1e30}, 0),
    ({"type": "integer", "minimum": 10**17}, 10**17),
    (
        {
            "$schema": "http://json-schema.org/draft-04/schema#",
            "type": "integer",
            "minimum": 1,
            "exclusiveMinimum": True,
        },
        2,
    ),
    ({"type": ["string", "null"], "maxLength": 3}, None),
    ({"enum": [1, "two", None]}, "two"),
    ({"type": "string", "enum": ["red", 5, "green"]}, "red"),
    ({"const": {"deep": [1, 2]}}, {"deep": [1, 2]}),
    ({"const": "abc", "maxLength": 3}, "abc"),
    ({"anyOf": [{"type": "integer"}, POINT]}, 3),
    ({"oneOf": [{"type": "integer"}, {"type": "null"}]}, None),
    ({"allOf": [POINT, {"properties": {"z": {"type": "number"}}}]}, {"x": 1, "y": 2, "z": 3}),
    ({"allOf": [{"$ref": "#/$defs/p"}], "$defs": {"p": POINT}}, {"x": 2}),
    (NODE, {"next": {}}),
    ({"type": "object", "properties": {"more": {"$ref": "#"}}}, {"more": {}}),
    ({"properties": {"a/b": {"type": "null"}, "c": {"$ref": "#/properties/a~1b"}}}, {"c": None}),
    ({"properties": {"a b": {"type": "null"}, "c": {"$ref": "#/properties/a%20b"}}}, {"c": None}),
    (
        {"$defs": {"a-b": {"type": "null"}, "a_b": {"type": "integer"}}, "properties": {"u": {"$ref": "#/$defs/a_b"}}},
        {"u": 1},
    ),
    ({"properties": {"anything": True}}, {"anything": []}),
    ({"properties": {"$ref": {"type": "integer"}}}, {"$ref": 1}),
    (nested(20), None),
    (object_of(300), {}),
    ({"enum": [f"v{number}" for number in range(500)]}, "v3"),
]
"""Schemas that work, each with a value that fits (None for the last ones: none is tried)."""

NOTHING_FITS: list[tuple[Schema, str, str]] = [
    ({"type": "string", "minLength": 5, "maxLength": 2}, "minLength", "/minLength"),
    ({"type": "array", "items": {}, "minItems": 3, "maxItems": 2}, "minItems", "/minItems"),
    ({**POINT, "minProperties": 3, "maxProperties": 2}, "minProperties", "/minProperties"),
    ({"type": "array", "contains": {}, "minContains": 3, "maxContains": 2}, "minContains", "/minContains"),
    ({"type": "integer", "minimum": 5, "maximum": 2}, "minimum", "/minimum"),
    ({"type": "integer", "exclusiveMinimum": 5, "maximum": 5}, "exclusiveMinimum", "/exclusiveMinimum"),
    ({"type": "integer", "exclusiveMinimum": -1, "exclusiveMaximum": 0}, "exclusiveMinimum", "/exclusiveMinimum"),
    ({"type": "integer", "minimum": 1.2, "maximum": 1.8}, "minimum", "/minimum"),
    ({"type": "number", "minimum": 2, "exclusiveMaximum": 2}, "minimum", "/minimum"),
    ({"type": "integer", "multipleOf": 7, "minimum": 1, "maximum": 6}, "minimum", "/minimum"),
    (
        {"type": "object", "properties": {"a": {}}, "required": ["b"], "additionalProperties": False},
        "required",
        "/required",
    ),
    ({"properties": {"a": False}, "required": ["a"]}, "required", "/required"),
    ({**POINT, "required": ["x", "y"], "maxProperties": 1}, "maxProperties", "/maxProperties"),
    ({"properties": {"a": {}}, "additionalProperties": False, "minProperties": 2}, "minProperties", "/minProperties"),
    ({"enum": []}, "enum", "/enum"),
    ({"type": "integer", "enum": ["a"]}, "enum", "/enum"),
    ({"type": "integer", "const": "a"}, "const", "/const"),
    ({"const": "abc", "maxLength": 2}, "const", "/const"),
    ({"const": 3, "enum": [1, 2]}, "const", "/const"),
    ({"not": {}}, "not", "/not"),
    ({"type": "array", "items": False, "minItems": 1}, "minItems", "/minItems"),
    ({"allOf": [{"type": "string"}, {"type": "integer"}]}, "type", "/allOf/0/type"),
    ({"allOf": [{"minLength": 5}, {"maxLength": 2}], "type": "string"}, "minLength", "/allOf/0/minLength"),
    ({"$ref": "#"}, "$ref", "/$ref"),
    ({"$ref": "#/$defs/a", "$defs": {"a": {"anyOf": [{"$ref": "#/$defs/a"}, {}]}}}, "$ref", "/$ref"),
    ({"type": "object", "properties": {"n": {"$ref": "#"}}, "required": ["n"]}, "$ref", "/properties/n/$ref"),
    ({"type": "array", "items": {"$ref": "#"}, "minItems": 1}, "$ref", "/items/$ref"),
    (
        {"properties": {"a/b": {"type": "string", "minLength": 5, "maxLength": 2}}},
        "minLength",
        "/properties/a~1b/minLength",
    ),
    ({"$defs": {"a": {"type": "string", "minLength": 5, "maxLength": 2}}}, "minLength", "/$defs/a/minLength"),
    ({"type": ["string", "null"], "minLength": 5, "maxLength": 2}, "minLength", "/minLength"),
    ({"anyOf": [{"type": "null"}, {"type": "integer", "minimum": 5, "maximum": 2}]}, "minimum", "/anyOf/1/minimum"),
]
"""Schemas of which some part fits no value, with keyword and place."""

MALFORMED: list[tuple[Any, str, str]] = [
    ({"type": 3}, "type", "/type"),
    ({"type": "text"}, "type", "/type"),
    ({"type": []}, "type", "/type"),
    ({"type": [[3]]}, "type", "/type"),
    ({"properties": ["a"]}, "properties", "/properties"),
    ({"properties": None}, "properties", "/properties"),
    ({"properties": {"x": 3}}, "properties", "/properties/x"),
    ({"required": 5}, "required", "/required"),
    ({"required": [[]]}, "required", "/required/0"),
    ({"required": ["a", "a"]}, "required", "/required"),
    ({"anyOf": 3}, "anyOf", "/anyOf"),
    ({"anyOf": []}, "anyOf", "/anyOf"),
    ({"allOf": [{"properties": 3}]}, "properties", "/allOf/0/properties"),
    ({"items": [{}]}, "items", "/items"),
    ({"prefixItems": 3}, "prefixItems", "/prefixItems"),
    ({"enum": 3}, "enum", "/enum"),
    ({"type": "string", "minLength": "a"}, "minLength", "/minLength"),
    ({"type": "string", "minLength": -1}, "minLength", "/minLength"),
    ({"type": "string", "maxLength": 2.5}, "maxLength", "/maxLength"),
    ({"type": "integer", "minimum": "a"}, "minimum", "/minimum"),
    ({"type": "integer", "multipleOf": 0}, "multipleOf", "/multipleOf"),
    ({"additionalProperties": 3}, "additionalProperties", "/additionalProperties"),
    ({"pattern": "("}, "pattern", "/pattern"),
    ({"pattern": "^a{2,1}$"}, "pattern", "/pattern"),
    ({"pattern": "a{99999999999999999999}"}, "pattern", "/pattern"),
    ({"pattern": 3}, "pattern", "/pattern"),
    ({"$schema": []}, "$schema", "/$schema"),
    ({"$ref": []}, "$ref", "/$ref"),
    ({"minimum": math.nan}, "minimum", "/minimum"),
    ({"maximum": math.inf}, "maximum", "/maximum"),
    ({"minimum": 1 << 70}, "minimum", "/minimum"),
    ({"const": b"bytes"}, "const", "/const"),
    ({"properties": {3: {}}}, "properties", "/properties"),
]
"""What is no schema, with keyword and place."""

TOO_LARGE: list[tuple[Schema, str]] = [
    ({"enum": [f"v{number}" for number in range(100_000)]}, "enum"),
    (object_of(20_000), "properties"),
    (object_of(2, required=[f"r{number}" for number in range(1000)]), "required"),
    (tree(6, 6), "schema"),
    (widening(30), "anyOf"),
    (nested(400), "schema"),
    ({"description": "a" * 2_000_000}, "schema"),
    ({"properties": {"a" * 5000: {}}}, "properties"),
    ({"type": "string", "minLength": 1_000_000_000}, "minLength"),
    ({"type": "array", "items": {}, "minItems": 1_000_000}, "minItems"),
    (text("^[a-z]{3000}$"), "pattern"),
    ({"type": "object", "properties": {f"p{at}": text("^[a-z]{1900}$") for at in range(99)}}, "pattern"),
    (
        {"type": "object", "properties": {f"p{at}": {"type": "string", "maxLength": 1900} for at in range(99)}},
        "maxLength",
    ),
    ({"type": "array", "items": {"type": "string", "minLength": 1900}, "minItems": 600}, "schema"),
    (text("^(([a-z]{0,500}){0,500}){0,500}$"), "pattern"),
    (text("^([a-z ]?){1900}$"), "pattern"),
    (text(f"^{'a' * 2000}$"), "pattern"),
    (text(f"^{'(' * 60}a{')' * 60}$"), "pattern"),
]
"""Schemas that are larger than is read, or would become larger grammars; with the keyword."""

NOT_HELD: list[tuple[Schema, str, str]] = [
    ({"type": "array", "items": {"type": "integer"}, "uniqueItems": True}, "uniqueItems", "/uniqueItems"),
    ({"properties": {"n": {"type": "integer", "multipleOf": 7}}}, "multipleOf", "/properties/n/multipleOf"),
    ({"type": "number", "minimum": 0}, "minimum", "/minimum"),
    ({"type": "string", "format": "email"}, "format", "/format"),
    ({**text("^a+$"), "maxLength": 3}, "maxLength", "/maxLength"),
    (text("a+"), "pattern", "/pattern"),
    (text("^(?=a)b$"), "pattern", "/pattern"),
    (text("^(a)\\1$"), "pattern", "/pattern"),
    (text("^a\\b$"), "pattern", "/pattern"),
    (text('^"$'), "pattern", "/pattern"),
    (text("^a\\\\b$"), "pattern", "/pattern"),
    (text("^a\\nb$"), "pattern", "/pattern"),
    (text("^a++$"), "pattern", "/pattern"),
    ({"type": "object", "patternProperties": {"^x": {}}}, "patternProperties", "/patternProperties"),
    ({"type": "object", "required": ["a"]}, "required", "/required"),
    ({**POINT, "required": ["z"]}, "required", "/required"),
    ({**POINT, "minProperties": 1}, "minProperties", "/minProperties"),
    ({**POINT, "anyOf": [POINT]}, "type", "/type"),
    ({"type": "array", "prefixItems": [{"type": "integer"}], "minItems": 2}, "minItems", "/minItems"),
    ({"allOf": [{"type": "string"}, {"minLength": 2}]}, "allOf", "/allOf/0"),
    ({"minimum": 3}, "minimum", "/minimum"),
    ({"not": {"type": "string"}}, "not", "/not"),
    ({"if": POINT, "then": POINT}, "if", "/if"),
    ({"$ref": "https://example.org/schema"}, "$ref", "/$ref"),
    ({"$ref": "other.json#/a"}, "$ref", "/$ref"),
    ({"$ref": "#named", "$defs": {"a": {"$anchor": "named"}}}, "$ref", "/$ref"),
    ({"$ref": "#/$defs/nothing"}, "$ref", "/$ref"),
    ({"$ref": "#/$defs/a", "$defs": {"a": {"not": {"type": "null"}}}}, "not", "/$defs/a/not"),
    ({"anyOf": [{"type": "integer"}, {"type": "string", "format": "ipv4"}]}, "format", "/anyOf/1/format"),
    ({"properties": {"never": False}}, "false", "/properties/never"),
    ({"type": ["string", "integer"], "minItems": 3}, "minItems", "/minItems"),
    ({"type": "integer", "minimum": 1e30}, "minimum", "/minimum"),
    ({"enum": [{"$ref": "x"}]}, "enum", "/enum"),
]
"""Schemas that a value may fit, which llama.cpp's grammar can't hold a model to; with keyword and place."""
