"""The debugger in a Lua state: where a script stops, how it goes on, what can be seen and changed meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from llmspell_kernel.scripting.lua.sandbox import ScriptFailure
from tests.support.debug_bench import DebugBench, Refused, Talk
from tests.support.lua_kernel import LuaBench

CALLS = """\
local function inner(x)
  local y = x * 2
  return y
end
local function outer(x)
  local z = inner(x)
  return z + 1
end
local a = outer(1)
local b = outer(2)
return a + b"""


def _places(found: list[tuple[str, int]], *commands: str) -> Callable[[], Talk]:
    """A talk that notes where the script stands, and gives one command after another; at last it goes on."""

    def talk() -> Talk:
        for command in commands:
            frames = (yield "stackTrace", {})["stackFrames"]
            found.append((frames[0]["name"], frames[0]["line"]))
            yield command, {}
        while True:
            frames = (yield "stackTrace", {})["stackFrames"]
            found.append((frames[0]["name"], frames[0]["line"]))
            yield "continue", {}

    return talk


def _asking(answers: list[Any], *questions: tuple[str, dict[str, Any]]) -> Callable[[], Talk]:
    """A talk that asks at the first stop, and lets the script go on from there."""

    def talk() -> Talk:
        for command, arguments in questions:
            answers.append((yield command, arguments))
        while True:
            yield "continue", {}

    return talk


# Where it stops


def test_a_script_stops_at_a_breakpoint_and_goes_on() -> None:
    found: list[Any] = []
    bench = DebugBench()
    bench.break_at(2)
    assert bench.debug(CALLS, _places(found)) == 8
    assert found == [("inner", 2), ("inner", 2)]
    assert bench.stops[0] == {
        "reason": "breakpoint",
        "threadId": 1,
        "allThreadsStopped": True,
        "hitBreakpointIds": [1],
    }
    assert [event for event, _ in bench.told] == ["stopped", "continued"] * 2


def test_a_breakpoint_stops_in_a_coroutine_and_in_what_sort_calls() -> None:
    found: list[Any] = []
    bench = DebugBench()
    code = "local co = coroutine.wrap(function()\n  coroutine.yield(1)\nend)\nco()\n"
    code += "table.sort({2, 1}, function(a, b)\n  return a < b\nend)"
    bench.break_at(2, 6)
    bench.debug(code, _places(found))
    assert found[0][1] == 2
    assert found[1][1] == 6


def test_a_breakpoint_without_code_moves_to_the_next_line_that_has_some() -> None:
    bench = DebugBench()
    bench.ask("know", path="/work/test.lua", source="-- a comment\n\nlocal x = 1\nreturn x\n-- the end\n")
    first, last = bench.break_at(1, 5)
    assert first == {"id": 1, "line": 3, "verified": True}
    assert last["verified"] is False
    assert last["message"] == "there is no code on this line or after it"


def test_a_breakpoint_in_an_unknown_text_finds_its_line_when_that_is_loaded() -> None:
    found: list[Any] = []
    bench = DebugBench()
    assert bench.break_at(2) == [{"id": 1, "line": 2, "verified": True}]
    bench.debug("local x = 1\n\nreturn x", _places(found))
    assert found == [("main chunk", 3)]
    assert ("breakpoint", {"reason": "changed", "breakpoint": {"id": 1, "line": 3, "verified": True}}) in bench.told


def test_conditions_see_the_names_of_the_line() -> None:
    answers: list[Any] = []
    bench = DebugBench()
    bench.break_at({"line": 2, "condition": "i == 3 and #name == 3"})
    code = "local name = 'abc' for i = 1, 5 do\n  local _ = i\nend"
    bench.debug(code, _asking(answers, ("evaluate", {"expression": "i"})))
    assert len(bench.stops) == 1
    assert answers[0]["result"] == "3"


def test_a_condition_that_fails_stops_and_says_why() -> None:
    bench = DebugBench()
    bench.break_at({"line": 1, "condition": "nothing.at.all"})
    bench.debug("local x = 1", _asking([]))
    assert bench.stops[0]["text"].startswith("the condition failed: attempt to index a nil value (global 'nothing')")


def test_a_condition_that_is_no_lua_is_told_at_once() -> None:
    place = DebugBench().break_at({"line": 1, "condition": "x =="})[0]
    assert place["verified"] is False
    assert place["message"] == "unexpected symbol near <eof>"


@pytest.mark.parametrize(
    ("operator", "number", "stops"),
    [("==", 3, [3]), (">=", 9, [9, 10]), (">", 9, [10]), ("%", 4, [4, 8]), ("<", 3, [1, 2]), ("<=", 1, [1])],
)
def test_hits_are_counted(operator: str, number: int, stops: list[int]) -> None:
    seen: list[Any] = []
    bench = DebugBench()
    bench.break_at({"line": 2, "operator": operator, "number": number})

    def talk() -> Talk:
        while True:
            seen.append(int((yield "evaluate", {"expression": "i"})["result"]))
            yield "continue", {}

    bench.debug("for i = 1, 10 do\n  local _ = i\nend", talk)
    assert seen == stops


def test_a_log_point_prints_and_does_not_stop() -> None:
    bench = DebugBench()
    bench.break_at({"line": 2, "message": "i is {i}, twice {i * 2}; {nope.x} {'text'} {{1}}"})
    bench.debug("for i = 1, 2 do\n  local _ = i\nend")
    assert bench.stops == []
    first, second = bench.kernel.errors.splitlines()
    assert first.startswith("i is 1, twice 2; <attempt to index a nil value (global 'nope')> text {1}")
    assert second.startswith("i is 2, twice 4;")


def test_a_pause_stops_a_loop_at_its_next_line() -> None:
    answers: list[Any] = []
    bench = DebugBench()
    bench.later("pause")
    code = "local n = 0 while not done do\n  n = n + 1\nend return n"
    bench.debug(code, _asking(answers, ("evaluate", {"expression": "done = true"})))
    assert bench.stops[0]["reason"] == "pause"


def test_a_breakpoint_can_be_set_while_a_script_runs() -> None:
    answers: list[Any] = []
    bench = DebugBench()
    places = [{"id": 1, "line": 3}]
    bench.later("setBreakpoints", path="/work/test.lua", breakpoints=places)
    code = "local n = 0 while not done do\n  n = n + 1\n  local _ = n\nend"
    bench.debug(code, _asking(answers, ("evaluate", {"expression": "done = true"})))
    assert bench.stops[0]["hitBreakpointIds"] == [1]


def test_the_first_line_is_a_stop_on_demand() -> None:
    found: list[Any] = []
    bench = DebugBench()
    bench.ask("stopOnEntry")
    bench.debug("local a = 1\nlocal b = 2", _places(found, "next"))
    assert found == [("main chunk", 1), ("main chunk", 2)]
    assert [stop["reason"] for stop in bench.stops] == ["entry", "step"]


@pytest.mark.parametrize(
    ("code", "line"),
    [
        ("local function f()\n  return 1\nend\nreturn f()", 1),
        ("-- one\n\n--[==[ two\nthree ]]\n]==] ; local function f()\n  return 1\nend\nreturn f()", 5),
        ("\n;\nreturn function()\n  return 1\nend", 3),
        ("#!/usr/bin/env llmspell\nlocal f =\n  function()\n  end", 2),
        ("local t = {\n  1,\n}", 1),
    ],
)
def test_the_entry_is_where_the_first_statement_begins(code: str, line: int) -> None:
    found: list[Any] = []
    bench = DebugBench()
    bench.ask("stopOnEntry")
    bench.debug(code, _places(found, "next"))
    assert found[0] == ("main chunk", line)


def test_modules_are_known_by_their_path(tmp_path: Any) -> None:
    from llmspell_kernel.scripting.lua.files import Files

    (tmp_path / "helper.lua").write_text("local M = {}\nfunction M.f()\n  return 5\nend\nreturn M\n")
    found: list[Any] = []
    bench = DebugBench()
    bench.place(Files(str(tmp_path), str(tmp_path)))
    bench.break_at(3, path=str(tmp_path / "helper.lua"))
    assert bench.debug("local r = require('helper').f() return r", _places(found)) == 5
    assert found == [("f", 3)]


# Steps


def test_next_steps_over_calls_and_out_of_a_function_that_ends() -> None:
    found: list[Any] = []
    bench = DebugBench()
    bench.break_at(9)
    bench.debug(CALLS, _places(found, "next", "next", "continue"))
    assert found == [("main chunk", 9), ("main chunk", 10), ("main chunk", 11)]
    found.clear()
    bench.break_at(6)
    bench.debug(CALLS, _places(found, "next", "next", "continue"))
    assert found[:3] == [("outer", 6), ("outer", 7), ("main chunk", 10)]


def test_step_in_and_step_out() -> None:
    found: list[Any] = []
    bench = DebugBench()
    bench.break_at(9)
    bench.debug(CALLS, _places(found, "stepIn", "stepIn", "stepOut", "stepOut"))
    assert found == [("main chunk", 9), ("outer", 6), ("inner", 2), ("outer", 7), ("main chunk", 10)]


def test_steps_go_through_pcall() -> None:
    code = "local function f()\n  error('x')\nend\nlocal ok = pcall(f)\nlocal after = ok\nreturn after"
    found: list[Any] = []
    bench = DebugBench()
    bench.break_at(4)
    bench.debug(code, _places(found, "next", "continue"))
    assert found == [("main chunk", 4), ("main chunk", 5)]
    found.clear()
    bench.debug(code, _places(found, "stepIn", "stepOut"))
    assert found[1][1] == 2
    assert found[2] == ("main chunk", 5)


def test_next_steps_over_a_coroutine_and_into_its_resumer_at_a_yield() -> None:
    code = "local co = coroutine.wrap(function()\n  local a = 1\n  coroutine.yield(a)\n  local b = 2\nend)\n"
    code += "co()\nlocal between = 1\nco()\nlocal last = 1"
    found: list[Any] = []
    bench = DebugBench()
    bench.break_at(6)
    bench.debug(code, _places(found, "next", "next", "next"))
    assert [line for _, line in found] == [6, 7, 8, 9]
    found.clear()
    bench.break_at(2)
    bench.debug(code, _places(found, "next", "next"))
    assert [line for _, line in found] == [2, 3, 7]


def test_next_steps_over_a_tail_call() -> None:
    code = "local function g(x)\n  local y = x\n  return y\nend\nlocal function f(x)\n  return g(x)\nend\n"
    code += "local r = f(1)\nreturn r"
    found: list[Any] = []
    bench = DebugBench()
    bench.break_at(6)
    bench.debug(code, _places(found, "next"))
    assert found == [("f", 6), ("main chunk", 9)]
    found.clear()
    bench.debug(code, _places(found, "stepIn", "stepOut"))
    assert [line for _, line in found] == [6, 2, 9]


def test_a_step_over_recursion_stays_in_its_own_call() -> None:
    code = "local function f(n)\n  if n == 0 then return 0 end\n  local r = f(n - 1)\n  return r + 1\nend\nreturn f(5)"
    answers: list[Any] = []
    bench = DebugBench()
    bench.break_at({"line": 3, "condition": "n == 5"})
    talk = _asking(answers, ("next", {}), ("evaluate", {"expression": "n, r"}))
    assert bench.debug(code, talk) == 5
    assert answers[1]["result"] == "5\t4"


def test_a_step_at_the_end_of_a_script_does_not_stop_the_next_one() -> None:
    found: list[Any] = []
    bench = DebugBench()
    bench.break_at(1)
    bench.debug("local a = 1", _places(found, "next"))
    assert len(found) == 1
    bench.break_at()
    assert bench.debug("return 5", path="/work/other.lua") == 5


# What is seen


def test_the_stack_goes_across_coroutines_and_leaves_our_own_functions_out() -> None:
    code = "local function deep()\n  return 1\nend\nlocal co = coroutine.create(function()\n  local x = deep()\nend)\n"
    code += "local function start()\n  coroutine.resume(co)\nend\nstart()"
    answers: list[Any] = []
    bench = DebugBench()
    bench.break_at(2)
    bench.debug(code, _asking(answers, ("stackTrace", {}), ("stackTrace", {"startFrame": 1, "levels": 2})))
    shown = [(frame["name"], frame["line"]) for frame in answers[0]["stackFrames"]]
    assert shown == [("deep", 2), ("function at line 4", 5), ("start", 8), ("main chunk", 10)]
    assert answers[0]["totalFrames"] == 4
    assert [frame["id"] for frame in answers[1]["stackFrames"]] == [2, 3]
    assert answers[0]["stackFrames"][0]["source"] == {"name": "test.lua", "path": "/work/test.lua"}


def _variables(code: str, line: int, *scopes: str) -> dict[str, dict[str, Any]]:
    found: dict[str, Any] = {}
    bench = DebugBench()
    bench.break_at(line)

    def talk() -> Talk:
        for scope in (yield "scopes", {"frameId": 1})["scopes"]:
            there = yield "variables", {"variablesReference": scope["variablesReference"]}
            found[scope["name"]] = {one["name"]: one for one in there["variables"]}
        yield "continue", {}

    bench.debug(code, talk)
    return found


def test_scopes_have_locals_upvalues_varargs_and_the_globals_that_scripts_made() -> None:
    code = "mine = 'g'\nlocal up = 1\nlocal function f(a, ...)\n  local a = a + up\n  return a\nend\nf(1, 'x', nil, 3)"
    found = _variables(code, 5)
    assert {name: one["value"] for name, one in found["Locals"].items()} == {"a": "2"}
    assert {name: one["value"] for name, one in found["Upvalues"].items()} == {"up": "1"}
    assert {name: one["value"] for name, one in found["Varargs"].items()} == {"...1": '"x"', "...2": "nil", "...3": "3"}
    assert {name: one["value"] for name, one in found["Globals"].items()} == {"mine": '"g"'}


def test_what_keeps_a_cell_s_last_call_on_the_stack_is_no_variable() -> None:
    code = "local mine = 1\nDebug.stackTrace{capture_locals = true}"
    shown = LuaBench().sandbox.execute(code, "In[1]", shows_value=True).text
    assert shown is not None
    assert "mine" in shown
    assert "keeps" not in shown


def test_a_table_is_opened_level_by_level_and_page_by_page() -> None:
    pages: list[Any] = []
    bench = DebugBench()
    bench.break_at(3)
    code = "local t = {deep = {x = {1}}, ['a b'] = 2, [true] = 3}\nfor i = 1, 2000 do t[i] = i end\nreturn #t"

    def talk() -> Talk:
        shown = yield "evaluate", {"expression": "t", "frameId": 1}
        assert (shown["indexedVariables"], shown["namedVariables"]) == (2000, 3)
        number = shown["variablesReference"]
        window = {"variablesReference": number, "filter": "indexed", "start": 1500, "count": 2}
        pages.append((yield "variables", window)["variables"])
        pages.append((yield "variables", {"variablesReference": number, "filter": "named"})["variables"])
        pages.append((yield "variables", {"variablesReference": number})["variables"])
        deep = next(one for one in pages[1] if one["name"] == "deep")
        pages.append((yield "variables", {"variablesReference": deep["variablesReference"]})["variables"])
        yield "continue", {}

    bench.debug(code, talk)
    assert [(one["name"], one["value"], one["evaluateName"]) for one in pages[0]] == [
        ("[1501]", "1501", "t[1501]"),
        ("[1502]", "1502", "t[1502]"),
    ]
    assert [one["name"] for one in pages[1]] == ["[true]", '["a b"]', "deep"]
    assert pages[2][-1]["name"] == "…"
    assert len(pages[2]) < 600
    assert pages[3][0]["evaluateName"] == "t.deep.x"


BROKEN = (
    b"caf\xe9",
    "grün €\U0001f642".encode() + b"\xff\xfe\x80",
    b"\xe2\x82 \xe2\x82\xe2\x82\xac \xf0\x9f\x99 \xf0\x9f",
    b"\xc0\xaf \xed\xa0\x80 \xf5\x80 \xe0\x80\x80 \xf4\x90\x80\x80",
)


@pytest.mark.parametrize("text", BROKEN)
def test_what_is_no_text_is_shown_as_it_is_printed(text: bytes) -> None:
    bench = DebugBench()
    answers: list[Any] = []
    bench.break_at(2)
    written = "".join(f"\\x{byte:02x}" for byte in text)
    bench.debug(f'local x = "{written}"\nreturn 1', _asking(answers, ("evaluate", {"expression": "x", "frameId": 1})))
    assert answers[0]["result"] == f'"{text.decode("utf-8", "replace")}"'


def test_variables_can_be_set_wherever_they_are() -> None:
    bench = DebugBench()
    code = "g = 0\nlocal up = 0\nlocal t = {a = 1, 5}\nlocal function f(...)\n  local x = 0\n"
    code += "  return {x, up, g, t.a, t[1], (...)}\nend\nreturn f(0)"
    bench.break_at(6)

    def talk() -> Talk:
        scopes = (yield "scopes", {"frameId": 1})["scopes"]
        numbers = {scope["name"]: scope["variablesReference"] for scope in scopes}
        shown = yield "setVariable", {"variablesReference": numbers["Locals"], "name": "x", "value": "up + 10"}
        assert (shown["value"], shown["type"]) == ("10", "integer")
        yield "setVariable", {"variablesReference": numbers["Upvalues"], "name": "up", "value": "'u'"}
        yield "setVariable", {"variablesReference": numbers["Globals"], "name": "g", "value": "true"}
        yield "setVariable", {"variablesReference": numbers["Varargs"], "name": "...1", "value": "'v'"}
        table = (yield "evaluate", {"expression": "t", "frameId": 1})["variablesReference"]
        yield "variables", {"variablesReference": table}
        yield "setVariable", {"variablesReference": table, "name": "a", "value": "2"}
        yield "setVariable", {"variablesReference": table, "name": "[1]", "value": "6"}
        refused = yield "setVariable", {"variablesReference": numbers["Locals"], "name": "no", "value": "1"}
        assert refused == Refused("there is no variable 'no' here")
        yield "continue", {}

    assert bench.debug(code, talk) == [10, "u", True, 2, 6, "v"]


def test_evaluate_takes_expressions_and_statements_in_any_frame() -> None:
    answers: list[Any] = []
    bench = DebugBench()
    bench.break_at(2)
    talk = _asking(
        answers,
        ("evaluate", {"expression": "x, x + 1", "frameId": 1}),
        ("evaluate", {"expression": "z", "frameId": 2}),
        ("evaluate", {"expression": "x = 50", "frameId": 1}),
        ("evaluate", {"expression": "for i = 1, 3 do made = i end", "frameId": 1}),
        ("evaluate", {"expression": "made", "frameId": 1}),
        ("evaluate", {"expression": "error({message = 'no'})", "frameId": 1}),
        ("evaluate", {"expression": "1 +", "frameId": 1}),
        ("evaluate", {"expression": "print('hi')", "context": "repl"}),
        ("evaluate", {"expression": "f()", "context": "hover"}),
        ("evaluate", {"expression": "string.upper", "context": "hover"}),
    )
    assert bench.debug(CALLS, talk) == 101 + 5
    results = [one["result"] if isinstance(one, dict) else one for one in answers]
    assert results[:5] == ["1\t2", "nil", "", "", "3"]
    assert results[5:7] == ['{message = "no"}', "unexpected symbol near <eof>"]
    assert bench.kernel.output == "hi\n"
    assert results[8] == "only names are evaluated where the mouse points"
    assert results[9].startswith("function: ")


def test_a_function_made_in_the_debugger_outlives_the_frame() -> None:
    bench = DebugBench()
    bench.break_at(2)
    talk = _asking([], ("evaluate", {"expression": "function kept() return x end"}))
    bench.debug("local x = 5\nlocal y = 6", talk)
    assert bench.debug("x = 'global' return kept()", path="/other") == "global"


def test_evaluate_has_what_the_script_has_and_no_more() -> None:
    answers: list[Any] = []
    bench = DebugBench("Standard")
    bench.break_at(1)
    names = ("debug.getlocal", "debug.sethook", "package.loadlib", "python", "getmetatable(_ENV)")
    questions = [("evaluate", {"expression": f"not ({name})"}) for name in names]
    bench.debug("local x = 1", _asking(answers, *questions, ("evaluate", {"expression": "io.open('/etc/passwd')"})))
    assert [one["result"] for one in answers[:-1]] == ["true"] * len(names)
    assert answers[-1]["result"].startswith("nil\t")


def test_our_own_functions_show_nothing_of_what_they_hold() -> None:
    answers: list[Any] = []
    bench = DebugBench()
    bench.break_at(1)
    bench.debug(
        "local x = 1", _asking(answers, ("evaluate", {"expression": "print"}), ("evaluate", {"expression": "Agent"}))
    )
    assert answers[0]["variablesReference"] == 0
    assert answers[1]["variablesReference"] > 0


def test_a_number_of_an_earlier_stop_means_nothing_any_more() -> None:
    answers: list[Any] = []
    bench = DebugBench()
    bench.break_at(1, 2)
    talk = _asking(answers, ("scopes", {"frameId": 1}), ("continue", {}), ("variables", {"variablesReference": 1}))
    bench.debug("local x = 1\nlocal y = 2", talk)
    assert answers[-1] == Refused("these variables belong to an earlier stop")


def test_globals_are_listed_while_nothing_stands() -> None:
    bench = DebugBench()
    bench.debug("answer = {42}")
    found = bench.ask("inspectVariables")["variables"]
    assert [(one["name"], one["value"]) for one in found] == [("answer", "{42}")]
    inside = bench.ask("variables", variablesReference=found[0]["variablesReference"])["variables"]
    assert inside[0]["value"] == "42"
    assert bench.ask("evaluate", expression="answer[1] + 1")["result"] == "43"


def test_a_source_is_given_by_its_path() -> None:
    bench = DebugBench()
    bench.debug("return 1")
    assert bench.ask("source", path="/work/test.lua") == {"content": "return 1"}
    assert bench.ask("source", path="/etc/passwd") == Refused("source unavailable")


# Errors


def _errors(code: str, **filters: bool) -> tuple[list[str], list[int]]:
    lines: list[Any] = []
    bench = DebugBench()
    bench.ask("setExceptionBreakpoints", **filters)

    def talk() -> Talk:
        while True:
            lines.append((yield "stackTrace", {})["stackFrames"][0]["line"])
            yield "continue", {}

    try:
        bench.debug(code, talk)
    except ScriptFailure:
        pass
    return [stop["text"] for stop in bench.stops], lines


CAUGHT = "local function f()\n  error('inner')\nend\npcall(f)\nf()"


def test_an_error_that_nothing_catches_stops_where_it_is_raised() -> None:
    assert _errors(CAUGHT, uncaught=True) == (["test.lua:2: inner"], [2])
    assert _errors("local t = nil\nreturn t.x", uncaught=True)[1] == [2]


def test_every_error_stops_where_it_is_raised() -> None:
    assert _errors(CAUGHT, raised=True) == (["test.lua:2: inner"] * 2, [2, 2])
    code = "xpcall(function()\n  error('x')\nend, print)\nlocal co = coroutine.create(function()\n  error('y')\nend)\n"
    assert _errors(code + "coroutine.resume(co)", raised=True)[1] == [2, 5]


def test_an_error_in_a_coroutine_stops_there_unless_something_catches_it() -> None:
    code = "local co = coroutine.wrap(function()\n  error('in it')\nend)\n"
    assert _errors(code + "co()", uncaught=True) == (["test.lua:2: in it"], [2])
    assert _errors(code + "pcall(co)", uncaught=True) == ([], [])


def test_pcall_is_lua_s_own_again_when_no_errors_stop() -> None:
    bench = DebugBench()
    before = bench.value("return tostring(pcall)")
    bench.ask("setExceptionBreakpoints", raised=True)
    assert bench.value("return tostring(pcall)") != before
    bench.ask("setExceptionBreakpoints")
    assert bench.value("return tostring(pcall)") == before


def test_what_is_known_of_an_error() -> None:
    answers: list[Any] = []
    bench = DebugBench()
    bench.ask("setExceptionBreakpoints", uncaught=True)
    talk = _asking(answers, ("exceptionInfo", {}), ("evaluate", {"expression": "why", "frameId": 1}))
    with pytest.raises(ScriptFailure, match="boom"):
        bench.debug("local why = 'because'\nerror('boom')", talk)
    assert answers[0] == {"exceptionId": "error", "description": "test.lua:2: boom", "breakMode": "unhandled"}
    assert answers[1]["result"] == '"because"'


# Ends


def test_a_script_can_be_stopped_where_it_stands() -> None:
    bench = DebugBench()
    bench.break_at(2)

    def talk() -> Talk:
        bench.kernel.looks_left = 0
        yield "evaluate", {"expression": "pcall(function() while true do end end)"}

    with pytest.raises(ScriptFailure) as failed:
        bench.debug("local x = 1\npcall(error, x)\nreturn x", talk)
    assert failed.value.kind == "stopped"
    assert bench.told[-1][0] == "continued"
    bench.break_at()
    assert bench.debug("return 1") == 1


def test_detaching_lets_a_standing_script_run_to_its_end() -> None:
    bench = DebugBench()
    bench.break_at(2)

    def talk() -> Talk:
        yield "detach", {}

    assert bench.debug("for i = 1, 3 do\n  x = i\nend return x", talk) == 3
    assert len(bench.stops) == 1
    assert bench.debug("for i = 1, 3 do\n  x = i\nend return x") == 3


def test_a_loop_that_is_traced_line_by_line_can_be_stopped() -> None:
    bench = DebugBench()
    bench.break_at(99)
    bench.kernel.looks_left = 3
    with pytest.raises(ScriptFailure) as failed:
        bench.debug("while true do end")
    assert failed.value.kind == "stopped"


LONG = "for i = 1, 300 do\n  local _ = i\nend"


def test_lines_are_looked_at_only_while_a_breakpoint_or_a_step_needs_it() -> None:
    bench = DebugBench()
    gethook = bench.sandbox._core["native"][b"debug"][b"gethook"]

    def events() -> bytes:
        mask: bytes = gethook()[1]
        return mask

    bench.debug(LONG)
    assert events() == b""
    bench.break_at(2)
    assert events() == b"l"
    bench.break_at()
    assert events() == b""
    bench.break_at(2)
    bench.ask("detach")
    assert events() == b""
    bench.value(LONG)
    assert events() == b""


def test_the_debugger_is_read_when_it_is_attached() -> None:
    bench = LuaBench()
    names = bench.sandbox._core["native"][b"debug"]
    bench.value(LONG)
    assert names[b"gethook"]()[1:] == (b"", 20000)
    assert bench.sandbox._functions[b"debug_take"] is None
