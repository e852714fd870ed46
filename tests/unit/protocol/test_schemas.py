"""The JSON Schemas are those of the protocol's classes, and say what fits and what does not."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from generate.standard_messages import STANDARD
from llmspell_protocol import areas
from llmspell_protocol.areas import AREAS, actions
from llmspell_protocol.errors import ModelNotFound, ScriptError
from tests.support.schemas import SCHEMAS, fits

GENERATOR = SCHEMAS.parent / "generate_schemas.py"
NAMES = sorted(path.stem for path in SCHEMAS.glob("*.json"))


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate_schemas", GENERATOR)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_schemas_are_those_of_the_classes(generator: ModuleType) -> None:
    assert list(generator.FILES.drift()) == []


def test_what_drifted_is_named(generator: ModuleType, tmp_path: Path) -> None:
    generator.FILES.write(tmp_path)
    assert list(generator.FILES.drift(tmp_path)) == []
    (tmp_path / "status.json").unlink()
    (tmp_path / "stream.json").write_text("{}")
    (tmp_path / "of_another_time.json").write_text("{}")
    assert list(generator.FILES.drift(tmp_path)) == [
        "status.json is missing",
        "stream.json is out of date",
        "of_another_time.json belongs to no message",
    ]
    generator.FILES.write(tmp_path)
    assert list(generator.FILES.drift(tmp_path)) == []


def test_every_message_has_a_schema_and_every_request_a_reply() -> None:
    wanted = {*STANDARD, "execute_delta"}
    for area in AREAS:
        records = actions(area).values()
        wanted |= {f"{area}_request", f"{area}_reply"}
        wanted |= {f"{area}_progress" for record in records if record.progress}
        wanted |= {f"{area}_delta" for record in records if record.delta is not None}
    assert set(NAMES) == wanted


def test_every_module_with_actions_is_an_area() -> None:
    (folder,) = areas.__path__
    with_actions = {path.stem for path in Path(folder).glob("*.py") if "\nACTIONS:" in path.read_text()}
    assert with_actions == set(AREAS)


@pytest.mark.parametrize("name", NAMES)
def test_each_schema_is_one(name: str) -> None:
    Draft202012Validator.check_schema(json.loads((SCHEMAS / f"{name}.json").read_text()))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("model_request", {"action": "list"}),
        ("model_request", {"action": "chat", "model": "m", "messages": [{"role": "user", "content": "Hi"}]}),
        ("model_request", {"action": "pull", "model": "m", "unknown": "is ignored"}),
        ("kernel_request", {"action": "cancel", "msg_id": "1"}),
        ("model_reply", {"status": "ok", "seq": 0, "tokens": [1, 2], "count": 2}),
        ("model_reply", {**ModelNotFound("no model 'x'").to_content(), "seq": 3}),
        ("execute_reply", {**ScriptError("chat.lua:3: boom").to_content(), "execution_count": 1}),
        ("execute_reply", {"status": "aborted"}),
        ("model_delta", {"text": "Hello", "seq": 1}),
        ("model_progress", {"phase": "prefill", "processed": 10, "total": 20, "eta_s": None, "seq": 0}),
        ("status", {"execution_state": "busy"}),
        ("input_reply", {"value": "", "eof": True}),
    ],
)
def test_what_the_protocol_says_fits(name: str, content: dict[str, Any]) -> None:
    assert fits(name, content) == []


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("model_request", {}),
        ("model_request", {"action": "dance"}),
        ("model_request", {"action": "chat"}),
        ("model_request", {"action": "chat", "model": "m", "messages": [{"role": "stranger", "content": "Hi"}]}),
        ("kernel_request", {"action": "cancel"}),
        ("model_delta", {"text": "without a number"}),
        ("model_reply", {"seq": 0, "tokens": [1, 2], "count": 2}),
        ("model_progress", {"phase": "prefill", "seq": 0}),
        ("status", {"execution_state": "tired"}),
        ("stream", {"name": "stdout"}),
    ],
)
def test_what_the_protocol_does_not_say_does_not_fit(name: str, content: dict[str, Any]) -> None:
    assert fits(name, content)
