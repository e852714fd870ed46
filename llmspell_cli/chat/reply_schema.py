"""The schema of a reply as a person writes it: a file, JSON, or the short form `name, age int`. Knows no model."""

from __future__ import annotations

import os
from typing import Any

from llmspell_cli.json_file import json_object, read_json
from llmspell_protocol.errors import NotFound
from llmspell_protocol.schema_fields import schema_of_fields
from llmspell_protocol.user_home import expanded_user

ANY_OBJECT: dict[str, Any] = {"type": "object"}
"""Plain JSON: an object, whatever is in it."""
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
    is_file = os.path.exists(expanded_user(value, os.environ)) or text.endswith(".json")
    if not is_file and any(mark in text for mark in " ,\n:"):
        return schema_of_fields(text, "--schema")
    try:
        return read_json(value)
    except NotFound as error:
        # One word may be a field as well.
        error.hint = f"a field alone: '{text} str'; or {_FORMS}" if text.isidentifier() else _FORMS
        raise
