"""The reference of the Lua API: it names everything that there is, and nothing else; Tab and Shift-Tab read it."""

from __future__ import annotations

import re

import pytest
from lupa.lua54 import LuaRuntime

from llmspell_kernel.scripting.lua.reference import sections
from llmspell_protocol.content import to_content
from llmspell_protocol.tools.builtin import builtin_tools
from tests.support.lua_kernel import LuaBench, reply

AGENT = {"id": "1", "name": "ada", "model": "m", "provider": "candle", "description": "d"}
ANSWER = {
    "message": {"role": "assistant", "content": "{}", "reasoning": "r"},
    "text": "{}",
    "finish_reason": "stop",
    "truncated": False,
    "usage": {"completion_tokens": 1},
    "timings": {},
    "model": "m",
    "backend": "b",
    "agent": AGENT,
}
CALLED = {
    "operation": "evaluate",
    "success": True,
    "text": "{}",
    "result": {"result": 5},
    "output": 5,
    "message": "m",
    "metadata": {},
    "media": [],
    "fields": {},
    "duration_ms": 1.5,
}
OF_LUA = ("string", "table", "math", "utf8", "coroutine", "package")
"""Libraries that are Lua's own, with less in them."""

MADE = {
    "agent": "Agent.create{}",
    "builder": "Agent.builder()",
    "stream": "Streaming.create(print)",
    "timer": "Debug.timer('t')",
    "tool": "Tool.get('calculator')",
    "workflow": "Workflow.sequential{steps = {}}",
    "workflow_builder": "Workflow.builder()",
    "schedules": "Replay.schedules",
    "replay_mode": "Replay.modes.exact",
    "replay_config": "Replay.create_config()",
    "replay_modification": "Replay.create_modification('a', 1)",
    "replay_comparator": "Replay.create_comparator()",
    "provider": "Provider.get('openai')",
    "session_builder": "Session.builder()",
    "progress": "Progress.new(1)",
}


@pytest.fixture
def bench() -> LuaBench:
    bench = LuaBench()
    for action in ("agent create", "agent execute", "model chat"):
        bench.kernel.answers[action] = reply(**ANSWER)
    bench.kernel.answers["tool info"] = reply(tool=to_content(builtin_tools()["calculator"]))
    bench.kernel.answers["tool invoke"] = reply(**CALLED)
    bench.kernel.answers["workflow create"] = reply(workflow={"id": "w", "name": "w", "type": "sequential"})
    told = {
        "name": "openai",
        "type": "openai",
        "enabled": True,
        "available": False,
        "reason": "r",
        "default_model": "m",
    }
    bench.kernel.answers["model providers"] = reply(providers=[told])
    return bench


def kinds(bench: LuaBench, code: str) -> dict[str, str]:
    """The fields of a value and their types."""
    return dict(
        bench.value(
            f"local kinds = {{}} for name, value in pairs({code}) do kinds[name] = type(value) end return kinds"
        )
    )


def documented(section: str) -> dict[str, bool]:
    """The fields of a section, and whether they can be called."""
    return {name: entry.call is not None for name, entry in sections()[section].fields.items()}


def callable_fields(found: dict[str, str]) -> dict[str, bool]:
    return {name: kind == "function" for name, kind in found.items()}


def test_every_global_is_in_the_reference_or_luas_own(bench: LuaBench) -> None:
    ours = {name for name, one in sections().items() if one.kind != "object"}
    luas = {key.decode() for key in LuaRuntime(encoding=None).globals()}
    there = set(kinds(bench, "_G"))
    assert there - luas <= ours
    assert ours <= there


@pytest.mark.parametrize("name", [one.name for one in sections().values() if one.kind != "object" and one.fields])
def test_a_global_has_the_fields_that_are_documented_and_no_other(bench: LuaBench, name: str) -> None:
    assert callable_fields(kinds(bench, name)) == documented(name)


@pytest.mark.parametrize(("name", "code"), MADE.items(), ids=MADE)
def test_an_object_has_the_fields_that_are_documented_and_no_other(bench: LuaBench, name: str, code: str) -> None:
    assert callable_fields(kinds(bench, code)) == documented(name)


def test_answers_have_the_fields_that_are_documented_and_no_other(bench: LuaBench) -> None:
    chat = kinds(bench, "LocalLLM.chat{prompt = 'x', schema = {type = 'object'}}")
    turn = kinds(bench, "Agent.create{}:execute('x')")
    assert {*chat, *turn, "stopped", "limit", "dropped", "error"} == set(documented("answer"))


def test_a_tools_output_has_the_fields_that_are_documented_and_no_other(bench: LuaBench) -> None:
    found = kinds(bench, "Tool.execute('calculator')")
    assert {*found, "error", "_raw_text"} == set(documented("tool_output"))


@pytest.mark.parametrize("library", OF_LUA)
def test_luas_own_libraries_have_nothing_that_lua_lacks(bench: LuaBench, library: str) -> None:
    own = {key.decode() for key in LuaRuntime(encoding=None).globals()[library.encode()]}
    assert set(kinds(bench, library)) - own <= ({"pow"} if library == "math" else set())


def test_what_a_call_gives_is_a_section_or_a_type() -> None:
    types = {"any", "nil", "null", "string", "number", "boolean", "table", "file", "function"}
    for section in sections().values():
        for entry in section.fields.values():
            assert entry.gives in types | set(sections()), f"{section.name}.{entry.name}"
            assert entry.doc.endswith((".", "`")), f"{section.name}.{entry.name}"
            assert re.fullmatch(r"\d+\.\d+\.\d+", entry.since), f"{section.name}.{entry.name}"


@pytest.mark.parametrize(
    ("code", "meant"),
    [
        ("Agent.builder():temprature(0)", "temperature"),
        ("LocalLLM.lst()", "list"),
        ("Agnet.create{}", "Agent"),
    ],
)
def test_a_misspelt_function_is_noticed(bench: LuaBench, code: str, meant: str) -> None:
    assert bench.failure(code).hint == f"did you mean '{meant}'?"


def test_a_parameter_that_is_a_time_names_its_unit() -> None:
    times = re.compile(r"\w*(?:timeout|delay|interval|duration|ttl|elapsed)")
    calls = {f"{name}.{field}": entry.call for name, one in sections().items() for field, entry in one.fields.items()}
    unclear = {
        name: call for name, call in calls.items() if call and any(map(times.fullmatch, re.findall(r"\w+", call)))
    }
    assert unclear == {}
