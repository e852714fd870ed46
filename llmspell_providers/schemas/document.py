"""Where a JSON Schema has schemas inside it, and what its references point at. Knows no engine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from llmspell_providers.schemas.refusals import refuse, step

ONE = frozenset(
    {"additionalItems", "additionalProperties", "contains", "contentSchema", "else", "if", "items", "not"}
    | {"propertyNames", "then", "unevaluatedItems", "unevaluatedProperties"}
)
"""Keywords whose value is a schema."""
LIST = frozenset({"allOf", "anyOf", "items", "oneOf", "prefixItems"})
"""Keywords whose value is a list of schemas."""
NAMED = frozenset({"$defs", "definitions", "dependencies", "dependentSchemas", "patternProperties", "properties"})
"""Keywords whose value holds a schema for each name."""
SAME_VALUE = frozenset({"allOf", "anyOf", "else", "if", "not", "oneOf", "then"})
"""Keywords whose schemas are about the very value that the schema itself is about."""


def inner(schema: Any, at: str) -> Iterator[tuple[str, str, Any]]:
    """The schemas directly inside one, each with the keyword that holds it and its place."""
    if not isinstance(schema, Mapping):
        return
    for keyword, value in schema.items():
        if keyword in NAMED and isinstance(value, Mapping):
            for name, child in value.items():
                if isinstance(child, Mapping | bool):
                    yield keyword, step(at, keyword, name), child
        elif keyword in LIST and isinstance(value, list):
            for number, child in enumerate(value):
                yield keyword, step(at, keyword, number), child
        elif keyword in ONE and isinstance(value, Mapping | bool):
            yield keyword, step(at, keyword), value


def everywhere(schema: Any, at: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every object that is a schema in this one, itself first, each with its place."""
    left = [(at, schema)]
    while left:
        place, one = left.pop()
        if isinstance(one, Mapping):
            yield place, one
            left += [(child_at, child) for _, child_at, child in inner(one, place)]


def target(reference: str, root: Mapping[str, Any], at: str) -> Any:
    """What a reference of the schema at `at` points at, inside `root`.

    Raises:
        SchemaUnsupported: it points elsewhere, or at nothing.
    """
    if reference != "#" and not reference.startswith("#/"):
        refuse(
            "$ref",
            step(at, "$ref"),
            f"{reference!r} does not point into the schema itself (#/…)",
            hint="write what it points at under $defs",
        )
    found: Any = root
    for part in _parts(reference):
        if isinstance(found, list) and part.isdecimal() and int(part) < len(found):
            found = found[int(part)]
        elif isinstance(found, Mapping) and part in found:
            found = found[part]
        else:
            refuse("$ref", step(at, "$ref"), f"{reference!r} points at nothing", hint="correct the schema")
    if not isinstance(found, Mapping | bool):
        why = f"{reference!r} points at something that is not a schema"
        refuse("$ref", step(at, "$ref"), why, hint="correct the schema")
    return found


def _parts(reference: str) -> list[str]:
    # A pointer in a reference is part of a URI, where % stands before two digits.
    from urllib.parse import unquote

    return [unquote(part).replace("~1", "/").replace("~0", "~") for part in reference.split("/")[1:]]
