"""The reference of the Lua API: it names everything that there is, and nothing else; Tab and Shift-Tab read it."""

from __future__ import annotations

import re
from typing import Any

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


def test_functions_whose_file_is_read_late_are_completed_and_described_before(bench: LuaBench) -> None:
    assert bench.sandbox.complete("Config.getS") == (["getSection", "getSecurity"], 4)
    assert bench.sandbox.complete("Debug.flame") == (["flameGraph"], 5)
    told = bench.sandbox.inspect("Provider.isAvailable(", 21)
    assert told is not None
    assert told.startswith("Provider.isAvailable(name) → boolean\n\nWhether it is configured")
    assert told.endswith("\n\nsince 0.1.0")
    assert bench.kernel.requests == []


@pytest.mark.parametrize(
    ("text", "names", "replaced"),
    [
        ("Agent.builder():te", ["temperature"], 2),
        ("Agent.builder():model('a)b'):sche", ["schema"], 4),
        ("Agent.builder()\n  :model('x')\n  :bui", ["build"], 3),
        ("Agent.create{model = 'x'}:gener", ["generate"], 5),
        ("a:compl", ["complete"], 5),
        ("a:execute('x').finish", ["finish_reason"], 6),
        ("LocalLLM.chat('x').tru", ["truncated"], 3),
        ("Agent.builder():nosuch():", [], 0),
        ("nosuch().t", [], 0),
        ("JSON.parse('x').t", [], 0),
        ("Tool.exe", ["execute"], 3),
        ("Tool.get('x'):exec", ["execute"], 4),
        ("Tools.regis", ["register"], 5),
    ],
)
def test_tab_knows_what_a_call_gives(bench: LuaBench, text: str, names: list[str], replaced: int) -> None:
    bench.run("a = Agent.create{}")
    assert bench.sandbox.complete(text) == (names, replaced)


@pytest.mark.parametrize(
    ("text", "beginning"),
    [
        ("LocalLLM.ch|at", "LocalLLM.chat(request[, on_chunk]) → answer\n\nAsks a model."),
        ("LocalLLM.chat(|", "LocalLLM.chat("),
        ("LocalLLM.chat{prompt = 'a (b', |", "LocalLLM.chat("),
        ("Agent.builder():temper|ature(0)", "builder:temperature(number) → builder\n\n0 to 2"),
        ("a:execute|", "agent:execute(input[, options]) → answer"),
        ("local b = x b:invokeStream|", "agent:invokeStream("),
        ("a|", "a: agent\n\n"),
        ("t|", "t: table\n\n{n = 1}"),
        ("f|", "f: function\n\ndefined at test.lua:1"),
        ("string.rep|", "string.rep: function\n\na function of Lua's own"),
        ("JSON|", "JSON\n\nText to values"),
        ("print(|", "print(...)\n"),
        ("JSON.null|", "JSON.null → null\n"),
        ("nosuch|", None),
        ("|", None),
        ("1 + |", None),
    ],
)
def test_shift_tab_shows_what_is_at_the_cursor(bench: LuaBench, text: str, beginning: str | None) -> None:
    bench.run("a = Agent.create{} t = {n = 1} function f() end")
    told: Any = bench.sandbox.inspect(text.replace("|", ""), text.index("|"))
    assert told is None if beginning is None else told.startswith(beginning)


@pytest.mark.parametrize(
    ("code", "meant"),
    [
        ("Agent.builder():temprature(0)", "temperature"),
        ("LocalLLM.lst()", "list"),
        ("Agnet.create{}", "Agent"),
    ],
)
def test_a_misspelt_function_is_noticed(bench: LuaBench, code: str, meant: str) -> None:
    assert bench.sandbox.suggestion(bench.failure(code).message) == f"did you mean '{meant}'?"


def test_a_parameter_that_is_a_time_names_its_unit() -> None:
    times = re.compile(r"\w*(?:timeout|delay|interval|duration|ttl|elapsed)")
    calls = {f"{name}.{field}": entry.call for name, one in sections().items() for field, entry in one.fields.items()}
    unclear = {
        name: call for name, call in calls.items() if call and any(map(times.fullmatch, re.findall(r"\w+", call)))
    }
    assert unclear == {}
