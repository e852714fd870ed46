"""Generated schemas and tools: good, contradictory, malformed and huge ones, and good ones that were changed.

The gate answers each within bounds, with an error that has a code or with a schema for the engine; of those that it
lets through a sample goes to the real engine, in a process whose memory has an end.
"""

from __future__ import annotations

import copy
import json
import math
import time
from random import Random
from typing import Any

from llmspell_protocol.errors import LlmspellError
from llmspell_protocol.models import ChatRequest
from llmspell_providers.schemas.gate import admit
from llmspell_providers.schemas.grammars import Grammar
from llmspell_providers.schemas.size import demand_size
from tests.fuzz.trial import Trial
from tests.support.models import smollm2
from tests.support.schema_engine import SchemaEngine

CODES = {"schema_unsupported", "invalid_request"}
ANSWERED_WITHIN_S = 20.0
"""The most that is read takes two; what else runs on the machine takes its share."""
MOST_MEMORY_MB = 500
SAMPLED = 0.05
KINDS = ("string", "number", "integer", "boolean", "object", "array", "null")
BOUNDS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
COUNTS = (
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
    "minContains",
    "maxContains",
)
WORDS = (
    *("type", "properties", "required", "items", "enum", "const", "pattern", "format", "additionalProperties", "$ref"),
    *("anyOf", "allOf", "oneOf", "not", "prefixItems", "$defs", "multipleOf", "odd", *BOUNDS, *COUNTS),
)
ODD = (
    None,
    True,
    -1,
    0,
    2.5,
    1e30,
    1 << 70,
    math.nan,
    "",
    "a",
    "^(a",
    [],
    [1],
    {},
    {"a": 3},
    b"b",
    [[]],
    "\ud800",
    10**9,
)
PATTERN_PIECES = (
    "a",
    "[a-z]",
    ".",
    "\\d",
    "\\/",
    "[^,]",
    "(",
    ")",
    "|",
    "*",
    "+",
    "?",
    "{2}",
    "{3,1}",
    "{0,900}",
    "é",
    '"',
    "\\b",
)


def run(trial: Trial) -> None:
    """Tries schemas until the trial ends."""
    random = trial.random
    engine: SchemaEngine | None = None
    try:
        while trial.more():
            schema = _schema(random)
            request = _request(random, schema)
            began = time.monotonic()
            given = _given(request)
            assert time.monotonic() - began < ANSWERED_WITHIN_S, f"slow: {schema!r:.2000}"
            if given is None or random.random() > SAMPLED:
                continue
            engine = engine or SchemaEngine(smollm2())
            asked = {"tools": given.tools} if given.tools else {"schema": given.schema, "raw": random.random() < 0.3}
            answer = engine.ask(**asked)
            assert not answer["error"], f"{answer['error']}: {json.dumps(asked)[:4000]} of {schema!r:.2000}"
            assert answer["memory_mb"] < MOST_MEMORY_MB, f"{answer['memory_mb']} MB: {json.dumps(asked)[:4000]}"
    finally:
        if engine is not None:
            engine.__exit__(None, None, None)


def _given(request: ChatRequest) -> ChatRequest | None:
    try:
        demand_size(request)
        return admit(request, Grammar())
    except LlmspellError as error:
        if error.code in CODES and isinstance(error.details.get("at"), str) and error.details.get("keyword"):
            return None
        raise AssertionError(f"{error.code}, {error.details}: {request!r:.2000}") from error
    except Exception as error:
        raise AssertionError(f"{error!r}: {request!r:.2000}") from error


def _request(random: Random, schema: Any) -> ChatRequest:
    if random.random() < 0.7 and isinstance(schema, dict):
        return ChatRequest(model="m", schema=schema)
    properties = {"type": "object", "properties": {"a": schema}}
    return ChatRequest(model="m", tools=[{"name": "look", "parameters": random.choice((properties, schema))}])


def _schema(random: Random) -> Any:
    draw = random.random()
    if draw < 0.08:
        return _huge(random)
    schema = _good(random, random.randrange(5))
    if draw < 0.5:
        return schema
    for _ in range(random.randrange(1, 3)):
        schema = _changed(random, schema)
    return schema


def _good(random: Random, depth: int) -> dict[str, Any]:
    if depth and random.random() < 0.2:
        return {random.choice(("anyOf", "oneOf")): [_good(random, depth - 1) for _ in range(random.randrange(1, 4))]}
    kind = random.choice(KINDS if depth else KINDS[:4])
    schema: dict[str, Any] = {"type": kind}
    if kind == "object":
        names = random.sample(["a", "b", "a b", "ä", 'q"', "c-d", "$ref", "x" * 200], random.randrange(1, 5))
        schema["properties"] = {name: _good(random, depth - 1) for name in names}
        schema["required"] = random.sample(names, random.randrange(len(names) + 1))
        if random.random() < 0.4:
            schema["additionalProperties"] = random.choice((True, False, _good(random, depth - 1)))
    elif kind == "array":
        schema["items"] = _good(random, depth - 1)
        low = random.randrange(4)
        schema |= {"minItems": low, "maxItems": low + random.choice((0, 1, 5, 500))}
    elif kind == "string" and random.random() < 0.7:
        low = random.randrange(9)
        lengths = {"minLength": low, "maxLength": low + random.choice((0, 3, 1990, 10**6))}
        pattern = {"pattern": f"^{''.join(random.choice(PATTERN_PIECES) for _ in range(random.randrange(1, 6)))}$"}
        schema |= random.choice((lengths, pattern, {"format": "date"}, {"enum": ["a", "ä", 'q"']}))
    elif kind == "integer" and random.random() < 0.7:
        low_bound = random.choice((0, -5, 7, 1.5, 10**14, -(10**17), 10**16))
        schema["minimum"] = low_bound
        if random.random() < 0.5:
            schema["maximum"] = low_bound + random.choice((0.5, 1, 10, 10**6))
    return schema


def _changed(random: Random, schema: dict[str, Any]) -> dict[str, Any]:
    """A copy with one word of one place changed."""
    changed = copy.deepcopy(schema)
    place: Any = changed
    while random.random() < 0.6:
        inner = [value for value in place.values() if isinstance(value, dict)]
        if not inner:
            break
        place = random.choice(inner)
    word = random.choice(WORDS)
    references = ("#", "#/$defs/a", "#/properties/a", "https://x/y", "#/items", "#/properties")
    other = [{}, {"type": "integer", "minimum": 3, "maximum": 1}, schema, False, True]
    values: dict[str, tuple[Any, ...]] = {
        "$ref": references,
        **dict.fromkeys(("items", "not", "additionalProperties"), tuple(other)),
        **dict.fromkeys(("anyOf", "allOf", "oneOf", "prefixItems"), (other[:3], [schema, schema], [])),
        **dict.fromkeys(BOUNDS, (5, -5, 1e30, -1e30, 0.5, 1 << 62)),
        **dict.fromkeys(COUNTS, (0, 1, 3, 100, 10**9)),
        "required": (["a"], ["nothing"]),
        "$defs": ({"a": schema}, {"a": {"$ref": "#/$defs/a"}}),
    }
    place[word] = random.choice(values.get(word, ODD) if random.random() < 0.8 else ODD)
    return changed


def _huge(random: Random) -> dict[str, Any]:
    size = 10 ** random.randrange(2, 6)
    deep: Any = {"type": "integer"}
    for _ in range(min(size, 3000)):
        deep = {"items": deep} if random.random() < 0.5 else {"properties": {"a": deep}}
    levels = random.randrange(5, 60)
    doubling: dict[str, Any] = {f"n{at}": {"anyOf": [{"$ref": f"#/$defs/n{at + 1}"}] * 2} for at in range(levels)}
    chain: dict[str, Any] = {f"n{at}": {"$ref": f"#/$defs/n{at + 1}"} for at in range(min(size, 400))}
    return random.choice(
        (
            {"enum": [f"value {number}" for number in range(size)]},
            {"type": "object", "properties": {f"p{number}": {} for number in range(size)}},
            {"type": "string", "description": "a" * size * 100},
            {"type": "string", "minLength": size, "maxLength": size},
            {"type": "array", "items": {"type": "string", "maxLength": 1999}, "maxItems": size},
            {"type": "string", "pattern": f"^(([a-z]{{0,{size}}}){{0,{levels}}}){{0,{size}}}$"},
            {"type": "string", "pattern": f"^{'(' * levels}a?{')*' * levels}$"},
            {"anyOf": [{"type": "string", "pattern": f"^a{{{number}}}$"} for number in range(min(size, 2000))]},
            {"$ref": "#/$defs/n0", "$defs": {**doubling, f"n{levels}": {"type": "integer"}}},
            {"$ref": "#/$defs/n0", "$defs": {**chain, f"n{len(chain)}": {"type": "integer"}}},
            deep,
        )
    )
