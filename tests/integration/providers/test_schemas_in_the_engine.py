"""What the gate lets through, in the real engine: it makes a grammar of it, and of little memory."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from llmspell_protocol.models import ChatRequest
from llmspell_providers.schemas.gate import admit
from llmspell_providers.schemas.grammars import Grammar
from tests.support.schema_engine import SchemaEngine
from tests.support.schema_table import GOOD, stands_alone

pytestmark = pytest.mark.slow

MOST_MEMORY_MB = 400
"""The model and its context are 190."""


@pytest.fixture(scope="module", name="engine")
def _engine(smollm2_path: Path) -> Iterator[SchemaEngine]:
    with SchemaEngine(smollm2_path) as engine:
        yield engine


@pytest.mark.parametrize("raw", [False, True], ids=["chat", "raw"])
@pytest.mark.parametrize("schema", [schema for schema, _ in GOOD], ids=lambda schema: str(schema)[:60])
def test_the_engine_holds_the_model_to_what_is_let_through(engine: SchemaEngine, schema: Any, raw: bool) -> None:
    answer = engine.ask(schema=admit(ChatRequest(model="m", schema=schema), Grammar()).schema, raw=raw)
    assert not answer["error"]
    assert answer["memory_mb"] < MOST_MEMORY_MB
    try:
        value = json.loads(answer["text"])
    except ValueError:
        return  # cut before its end, as most are that have one
    jsonschema.validate(value, schema)


@pytest.mark.parametrize(
    "schema", [schema for schema, _ in GOOD if stands_alone(schema)], ids=lambda schema: str(schema)[:60]
)
def test_the_engine_takes_the_parameters_that_are_let_through(engine: SchemaEngine, schema: Any) -> None:
    tool = {"name": "look", "parameters": {"type": "object", "properties": {"a": schema}}}
    answer = engine.ask(tools=admit(ChatRequest(model="m", tools=[tool]), Grammar()).tools)
    assert not answer["error"]
    assert answer["memory_mb"] < MOST_MEMORY_MB
