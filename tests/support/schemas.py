"""The protocol's JSON Schemas, to hold real messages against."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

from llmspell_protocol.areas import actions

SCHEMAS = Path(__file__).parents[2] / "protocol" / "schemas"

Schema = dict[str, Any]


def fits(name: str, content: Mapping[str, Any]) -> list[str]:
    """What is wrong with a message's content: nothing, if it fits. It may hold more than the schema names."""
    return _problems(_open(name), content)


def is_answer_to(action: str, name: str, content: Mapping[str, Any]) -> list[str]:
    """What is wrong with a request, progress, delta or reply of an action: also a key that its class doesn't have."""
    return _problems(_closed(name, action), content)


def _problems(validator: Draft202012Validator, content: Mapping[str, Any]) -> list[str]:
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(dict(content))]


@functools.cache
def _open(name: str) -> Draft202012Validator:
    return Draft202012Validator(_schema(name))


@functools.cache
def _closed(name: str, action: str) -> Draft202012Validator:
    """The schema without what other actions send, and without room for more."""
    schema = _schema(name)
    schema["anyOf"] = [choice for choice in schema["anyOf"] if _is_of(choice, name, action)]
    for definition in schema["$defs"].values():
        _close_values(definition)
    return Draft202012Validator({**schema, "unevaluatedProperties": False})


def _schema(name: str) -> Schema:
    schema: Schema = json.loads((SCHEMAS / f"{name}.json").read_text())
    return schema


def _is_of(choice: Schema, name: str, action: str) -> bool:
    area, _, kind = name.rpartition("_")
    record = actions(area)[action]
    streamed = {"progress": record.progress, "delta": (record.delta,)}.get(kind)
    if streamed is None:
        return choice.get("title") == action
    return choice["$ref"].removeprefix("#/$defs/") in {one.__name__ for one in streamed if one is not None}


def _close_values(definition: Schema) -> None:
    """Closes the objects inside of one; itself it may be a part of another: a reply's `status` stands beside it."""
    for value in definition.get("properties", {}).values():
        _close(value)


def _close(value: Any) -> None:
    if not isinstance(value, dict):
        return
    if "$ref" in value:
        value["unevaluatedProperties"] = False
    for inner in (value.get("items"), value.get("additionalProperties"), *value.get("anyOf", ())):
        _close(inner)
