"""The short form of a JSON Schema, as people write it in a shell and in scripts: `name, age int, bio: a line`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from llmspell_protocol.errors import InvalidRequest

SHORT = ("str", "int", "float", "bool")
TYPES: Mapping[str, str] = {
    **dict(zip(SHORT, ("string", "integer", "number", "boolean"), strict=True)),
    **{name: name for name in ("string", "integer", "number", "boolean")},
}
"""The short form's types, as simonw/llm has them, and JSON Schema's own names; without one a field is a string."""
_FIELDS = "write fields: 'name, age int, bio: one sentence'"


def schema_of_fields(text: str, where: str) -> dict[str, Any]:
    """The JSON Schema of an object with these fields; `where` begins the errors.

    Raises:
        InvalidRequest: there are no fields, or one of them is none; the error says which.
    """
    properties: dict[str, Any] = {}
    for field in _divided(text):
        about, colon, description = field.partition(":")
        words = about.split()
        if not words or len(words) > 2:
            problem = "has no name" if not words else "is more than a name and a type"
            raise InvalidRequest(f"{where}: '{field}' {problem}", hint=_FIELDS)
        name, kind = words[0], words[1] if len(words) > 1 else "str"
        if kind not in TYPES:
            hint = f"types are {', '.join(SHORT)}: '{name} int'"
            raise InvalidRequest(f"{where}: '{kind}' is not a type ({name})", hint=hint)
        if name in properties:
            raise InvalidRequest(f"{where}: '{name}' is there twice", hint=_FIELDS)
        properties[name] = {"type": TYPES[kind]}
        if colon and description.strip():
            properties[name]["description"] = description.strip()
    if not properties:
        raise InvalidRequest(f"{where} has no fields", hint=_FIELDS)
    return {"type": "object", "properties": properties, "required": list(properties)}


def _divided(text: str) -> Iterator[str]:
    """The fields, a line each where there are lines (descriptions may have commas then), else between commas."""
    for field in text.split("\n" if "\n" in text else ","):
        if field.strip():
            yield field.strip()
