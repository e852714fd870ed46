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
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from generate.files import GeneratedFiles
from llmspell_protocol.messages import JUPYTER_VERSION, PROTOCOL_VERSION
from llmspell_protocol.replies import REPLIES, STREAMED
from llmspell_protocol.requests import CONTENTS
from llmspell_protocol.standard import STANDARD, ErrorReply

DIALECT = "https://json-schema.org/draft/2020-12/schema"

Schema = dict[str, Any]

_SEQ = {"seq": {"type": "integer", "minimum": 0}}


def schemas() -> dict[str, Schema]:
    """Every message type and the schema of its content."""
    found = {msg_type: _one_of(msg_type, kinds, JUPYTER_VERSION) for msg_type, kinds in STANDARD.items()}
    for msg_type, kinds in STREAMED.items():
        found[msg_type] = _with_seq(_one_of(msg_type, kinds, PROTOCOL_VERSION))
    for area in sorted({area for area, _ in CONTENTS}):
        found[f"{area}_request"] = _requests(area)
        found[f"{area}_reply"] = _with_seq(_replies(area))
    return found


@functools.cache
def rendered() -> dict[str, str]:
    """File name → text, as it has to stand in the directory."""
    return {f"{name}.json": json.dumps(schema, indent=2) + "\n" for name, schema in sorted(schemas().items())}


def _requests(area: str) -> Schema:
    actions = {action: kind for (its_area, action), kind in CONTENTS.items() if its_area == area}
    refs, definitions = _definitions(set(actions.values()))
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
            for action, kind in actions.items()
        ],
        definitions,
    )


def _replies(area: str) -> Schema:
    actions = {action: kind for (its_area, action), kind in REPLIES.items() if its_area == area}
    refs, definitions = _definitions({*actions.values(), ErrorReply})
    choices: list[Schema] = [
        {"title": action, "allOf": [refs[kind]], "properties": {"status": {"const": "ok"}}, "required": ["status"]}
        for action, kind in actions.items()
    ]
    return _schema(f"{area}_reply", PROTOCOL_VERSION, [*choices, refs[ErrorReply]], definitions)


def _one_of(msg_type: str, kinds: Sequence[type], version: str) -> Schema:
    refs, definitions = _definitions(set(kinds))
    return _schema(msg_type, version, [refs[kind] for kind in kinds], definitions)


def _definitions(kinds: set[type]) -> tuple[Mapping[type, Schema], Schema]:
    ordered = sorted(kinds, key=lambda kind: kind.__name__)
    refs, shared = TypeAdapter.json_schemas([(kind, "validation", TypeAdapter(kind)) for kind in ordered])
    return {kind: refs[kind, "validation"] for kind in ordered}, shared["$defs"]


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
