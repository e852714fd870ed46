"""Writes `schemas/<message type>.json`, one JSON Schema for the content of each message, from the protocol's classes.

    python protocol/generate_schemas.py           writes what has changed
    python protocol/generate_schemas.py --check   changes nothing; exit status 1 and the names where something would

Contents may hold more than a schema names: readers ignore what they do not know.
"""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import field, fields, make_dataclass
from pathlib import Path
from typing import Any, Literal, get_type_hints

from pydantic import TypeAdapter

from generate.files import GeneratedFiles
from generate.standard_messages import STANDARD, ErrorReply
from llmspell_protocol.areas import AREAS, actions
from llmspell_protocol.areas.stream import ExecuteDelta
from llmspell_protocol.messages import JUPYTER_VERSION, PROTOCOL_VERSION

DIALECT = "https://json-schema.org/draft/2020-12/schema"

Schema = dict[str, Any]
Mode = Literal["validation", "serialization"]

_SEQ = {"seq": {"type": "integer", "minimum": 0}}


def schemas() -> dict[str, Schema]:
    """Every message type and the schema of its content."""
    found = {
        msg_type: _one_of(msg_type, tuple(map(_as_object, kinds)), JUPYTER_VERSION)
        for msg_type, kinds in STANDARD.items()
    }
    found["execute_delta"] = _with_seq(_one_of("execute_delta", (ExecuteDelta,), PROTOCOL_VERSION))
    for area in AREAS:
        found[f"{area}_request"] = _requests(area)
        found[f"{area}_reply"] = _with_seq(_replies(area))
        records = actions(area).values()
        steps = dict.fromkeys(kind for record in records for kind in record.progress)
        deltas = dict.fromkeys(record.delta for record in records if record.delta is not None)
        for msg_type, kinds in ((f"{area}_progress", steps), (f"{area}_delta", deltas)):
            if kinds:
                found[msg_type] = _with_seq(_one_of(msg_type, tuple(kinds), PROTOCOL_VERSION))
    return found


@functools.cache
def rendered() -> dict[str, str]:
    """File name → text, as it has to stand in the directory."""
    return {f"{name}.json": json.dumps(schema, indent=2) + "\n" for name, schema in sorted(schemas().items())}


def _requests(area: str) -> Schema:
    kinds = {action: record.request for action, record in actions(area).items()}
    refs, definitions = _definitions(set(kinds.values()))
    return _schema(
        f"{area}_request",
        PROTOCOL_VERSION,
        [
            {
                "title": action,
                "allOf": [refs[kind]],
                "properties": {"action": {"const": action}},
                "required": ["action"],
            }
            for action, kind in kinds.items()
        ],
        definitions,
    )


def _replies(area: str) -> Schema:
    kinds = {action: record.reply for action, record in actions(area).items()}
    refs, definitions = _definitions({*kinds.values(), ErrorReply}, mode="serialization")
    choices: list[Schema] = [
        {"title": action, "allOf": [refs[kind]], "properties": {"status": {"const": "ok"}}, "required": ["status"]}
        for action, kind in kinds.items()
    ]
    return _schema(f"{area}_reply", PROTOCOL_VERSION, [*choices, refs[ErrorReply]], definitions)


def _as_object(kind: type) -> type:
    """A class whose values are objects; a named tuple would be an array."""
    if not issubclass(kind, tuple):
        return kind
    defaults = getattr(kind, "_field_defaults", {})
    items = [
        (name, hint, field(default=defaults[name]) if name in defaults else field())
        for name, hint in get_type_hints(kind).items()
    ]
    return make_dataclass(kind.__name__, items, kw_only=True, namespace={"__doc__": kind.__doc__})


def _one_of(msg_type: str, kinds: Sequence[type], version: str) -> Schema:
    refs, definitions = _definitions(set(kinds))
    return _schema(msg_type, version, [refs[kind] for kind in kinds], definitions)


def _definitions(kinds: set[type], mode: Mode = "validation") -> tuple[Mapping[type, Schema], Schema]:
    """References to the classes, and what they refer to; in mode `serialization` fields with a default are required.

    Error replies are the exception: they leave out what they don't know.
    """
    ordered = sorted(kinds, key=lambda kind: kind.__name__)
    modes: dict[type, Mode] = {kind: "validation" if kind is ErrorReply else mode for kind in ordered}
    refs, shared = TypeAdapter.json_schemas([(kind, modes[kind], TypeAdapter(kind)) for kind in ordered])
    definitions = shared["$defs"]
    for kind in ordered:
        for name in (item.name for item in fields(kind) if item.metadata.get("buffer")):
            definition = definitions[kind.__name__]
            del definition["properties"][name]
            definition["required"].remove(name)
    return {kind: refs[kind, modes[kind]] for kind in ordered}, definitions


def _schema(msg_type: str, version: str, choices: Sequence[Schema], definitions: Schema) -> Schema:
    return {
        "$schema": DIALECT,
        "title": msg_type,
        "description": f"Content of {msg_type}, protocol {version}.",
        "type": "object",
        "anyOf": list(choices),
        "$defs": definitions,
    }


def _with_seq(schema: Schema) -> Schema:
    return {**schema, "properties": _SEQ, "required": ["seq"]}


FILES = GeneratedFiles(Path(__file__).with_name("schemas"), rendered, stray="belongs to no message")

if __name__ == "__main__":
    raise SystemExit(FILES.main(sys.argv[1:]))
