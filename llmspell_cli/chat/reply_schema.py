"""The schema of a reply as a person writes it: a file, JSON, or the short form `name, age int`. Knows no model."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from llmspell_cli.json_file import json_object, read_json
from llmspell_protocol.errors import InvalidRequest, NotFound

ANY_OBJECT: dict[str, Any] = {"type": "object"}
"""Plain JSON: an object, whatever is in it."""
TYPES = {"str": "string", "int": "integer", "float": "number", "bool": "boolean"}
"""The short form's types, as simonw/llm has them; without one a field is a string."""
_FORMS = "write a file's name, JSON, or fields: 'name, age int, bio: one sentence'"


def read_schema(value: str) -> dict[str, Any]:
    """The JSON Schema that a word means.

    Raises:
        NotFound: it can only be a file's name, and there is no such file.
        InvalidRequest: it is none of the three forms; the error says where it is wrong.
    """
    text = value.strip()
    if text.startswith("{"):
        return json_object(text, "--schema")
    is_file = os.path.exists(os.path.expanduser(value)) or text.endswith(".json")
    if not is_file and any(mark in text for mark in " ,\n:"):
        return _of_fields(text)
    try:
        return read_json(value)
    except NotFound as error:
        error.hint = _FORMS
        raise


def _of_fields(text: str) -> dict[str, Any]:
    properties: dict[str, Any] = {}
    for field in _divided(text):
        about, colon, description = field.partition(":")
        words = about.split()
        if not words or len(words) > 2:
            problem = "has no name" if not words else "is more than a name and a type"
            raise InvalidRequest(f"--schema: '{field}' {problem}", hint=_FORMS)
        name, kind = words[0], words[1] if len(words) > 1 else "str"
        if kind not in TYPES:
            raise InvalidRequest(
                f"--schema: '{kind}' is not a type ({name})", hint=f"types are {', '.join(TYPES)}: '{name} int'"
            )
        if name in properties:
            raise InvalidRequest(f"--schema: '{name}' is there twice")
        properties[name] = {"type": TYPES[kind]}
        if colon and description.strip():
            properties[name]["description"] = description.strip()
    if not properties:
        raise InvalidRequest("--schema has no fields", hint=_FORMS)
    return {"type": "object", "properties": properties, "required": list(properties)}


def _divided(text: str) -> Iterator[str]:
    """The fields, a line each where there are lines (descriptions may have commas then), else between commas."""
    for field in text.split("\n" if "\n" in text else ","):
        if field.strip():
            yield field.strip()
