"""The tools that a server says it has, looked at before anything reads them: names, lengths, schemas.

A tool that is none is left out with a reason; the others stay. Knows data, not where it came from.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from llmspell_protocol.plain_values import carried

MAX_TOOLS = 1000
MAX_DESCRIPTION_CHARACTERS = 2000
MAX_SCHEMA_BYTES = 1 << 16
_NAME = r"[A-Za-z0-9_./-]{1,128}"
_UNSHOWN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""Control characters, and those that turn the direction of what follows."""


class NoTool(Exception):
    """What is listed is no tool; the text says why."""


def usable_tools(listed: list[Any], problems: list[str]) -> list[dict[str, Any]]:
    """The tools in a `tools/list` result, in the protocol's form and with nothing in them that was not looked at.

    `problems` gets a sentence for each that is left out.
    """
    found: dict[str, dict[str, Any]] = {}
    for raw in listed[:MAX_TOOLS]:
        try:
            tool = _tool(raw)
            if tool["name"] in found:
                raise NoTool(f"{tool['name']} is listed twice")
        except NoTool as reason:
            problems.append(str(reason))
        else:
            found[tool["name"]] = tool
    if len(listed) > MAX_TOOLS:
        problems.append(f"it lists {len(listed)} tools, and {MAX_TOOLS} at most are taken")
    return list(found.values())


def _tool(raw: Any) -> dict[str, Any]:
    if not isinstance(raw, Mapping):
        raise NoTool("it lists what is no tool")
    name = raw.get("name")
    if not isinstance(name, str) or not re.fullmatch(_NAME, name):
        raise NoTool(f"the name {str(name)[:60]!r} is none that a tool can have (A-Z a-z 0-9 _ . / -)")
    description = raw.get("description")
    tool = {
        "name": name,
        "description": described(description) if isinstance(description, str) else "",
        "inputSchema": _schema(name, raw.get("inputSchema")),
    }
    if raw.get("outputSchema") is not None:
        tool["outputSchema"] = _schema(name, raw["outputSchema"])
    return tool


def described(text: str) -> str:
    """A text of a server's as it may be shown and given to a model: nothing that can't be seen, and no novel."""
    plain = _UNSHOWN.sub(" ", text[: 2 * MAX_DESCRIPTION_CHARACTERS]).strip()
    if len(plain) <= MAX_DESCRIPTION_CHARACTERS:
        return plain
    return plain[: MAX_DESCRIPTION_CHARACTERS - 1].rstrip() + "…"


def _schema(name: str, schema: Any) -> dict[str, Any]:
    # Only a listing needs it, and it takes a while to import.
    from jsonschema import SchemaError
    from jsonschema.validators import validator_for

    if not isinstance(schema, Mapping):
        raise NoTool(f"{name}: its schema is no JSON Schema")
    try:
        plain: dict[str, Any] = carried(schema)
        size = len(json.dumps(plain))
        if plain.setdefault("type", "object") != "object":
            raise NoTool(f"{name}: its schema is not an object's")
        # A dialect that is not known would be read as if it were the newest.
        validator_for(plain).check_schema(plain)
    except (SchemaError, ValueError, TypeError, RecursionError, AttributeError) as error:
        why = error.message if isinstance(error, SchemaError) else str(error)
        raise NoTool(f"{name}: its schema is no JSON Schema: {why[:200]}") from None
    if size > MAX_SCHEMA_BYTES:
        raise NoTool(f"{name}: its schema has {size} bytes, {MAX_SCHEMA_BYTES} at most are possible")
    for reference in _references(plain):
        if not reference.startswith("#"):
            raise NoTool(f"{name}: its schema refers to {reference[:100]!r}, outside itself")
    return plain


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key in ("$ref", "$dynamicRef"):
            if isinstance(value.get(key), str):
                yield value[key]
        for inner in value.values():
            yield from _references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _references(inner)
