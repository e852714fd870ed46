"""The global Debug beyond plain messages: what is kept and filtered, timers and their reports, dumps, stacks."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.support.lua_kernel import LuaBench


@pytest.fixture
def bench() -> LuaBench:
    return LuaBench()


def messages(bench: LuaBench) -> list[str]:
    return [re.sub(r"^\S+ \S+ +", "", line) for line in bench.kernel.errors.splitlines()]


def test_each_level_has_a_function_and_a_message_of_a_lower_one_is_left_out(bench: LuaBench) -> None:
    every = (
        "Debug.trace('t') Debug.debug('d') Debug.info('i') Debug.warn('w') Debug.error('e') Debug.log('Warn', 'l', 'm')"
    )
    bench.run(every)
    assert [line.split()[0] for line in messages(bench)] == ["INFO", "WARN", "ERROR", "WARN"]
    assert bench.value("return {Debug.setLevel('trace'), Debug.getLevel(), Debug.setLevel('loud')}") == [
        True,
        "TRACE",
        False,
    ]
    bench.kernel.errors = ""
    bench.run(every)
    assert len(messages(bench)) == 6
    bench.kernel.errors = ""
    bench.run("Debug.setLevel('off') " + every)
    assert bench.kernel.errors == ""


def test_debug_can_be_switched_off(bench: LuaBench) -> None:
    bench.run("Debug.setEnabled(false) Debug.error('quiet')")
    assert bench.value("return {Debug.isEnabled(), #Debug.getCapturedEntries()}") == [False, 0]
    bench.run("Debug.setEnabled(true) Debug.error('loud')")
    assert messages(bench) == ["ERROR loud"]


def test_messages_are_kept_with_their_data(bench: LuaBench) -> None:
    bench.run("Debug.info('one') Debug.debug('hidden') Debug.logWithData('warn', 'two', {size = 3}, 'net')")
    assert messages(bench) == ["INFO  one", "WARN  [net] two {size = 3}"]
    first, second = bench.value("return Debug.getCapturedEntries()")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", first.pop("timestamp"))
    assert first == {"level": "INFO", "message": "one"}
    assert {**second, "timestamp": ""} == {
        "timestamp": "",
        "level": "WARN",
        "message": "two",
        "module": "net",
        "metadata": {"size": 3},
    }
    assert bench.value("return Debug.getCapturedEntries(1)[1].message") == "two"
    assert bench.value("Debug.clearCaptured() return #Debug.getCapturedEntries()") == 0


def test_only_the_last_messages_are_kept(bench: LuaBench) -> None:
    many = "for i = 1, 10010 do Debug.info('m' .. i) end "
    code = many + "local all = Debug.getCapturedEntries() return {#all, all[1].message}"
    assert bench.value(code) == [10000, "m11"]
    big = "Debug.clearCaptured() for _ = 1, 10 do Debug.info(('x'):rep(500000)) end return #Debug.getCapturedEntries()"
    assert bench.value(big) == 4


@pytest.mark.parametrize(
    ("filters", "shown"),
    [
        ("Debug.addModuleFilter('net', false)", ["app", "net2", None]),
        ("Debug.addModuleFilter('net*', false)", ["app", None]),
        ("Debug.setDefaultFilterEnabled(false) Debug.addModuleFilter('net', true)", ["net", "net.http", None]),
        ("Debug.addModuleFilter('*', false) Debug.addModuleFilter('app', true)", ["app", None]),
        ("Debug.addAdvancedFilter('net', 'exact', false)", ["app", "net.http", "net2", None]),
        ("Debug.addAdvancedFilter('n.t', 'regex', false)", ["app", "net.http", "net2", None]),
        ("Debug.addAdvancedFilter('n?t.*', 'wildcard', false)", ["app", "net", "net2", None]),
        ("Debug.addAdvancedFilter('net', 'hierarchical', false)", ["app", "net2", None]),
        ("Debug.addModuleFilter('*', false) Debug.removeModuleFilter('*')", ["app", "net", "net.http", "net2", None]),
        ("Debug.addModuleFilter('*', false) Debug.clearModuleFilters()", ["app", "net", "net.http", "net2", None]),
    ],
)
def test_filters_say_which_modules_messages_are_written(bench: LuaBench, filters: str, shown: list[str | None]) -> None:
    bench.run(filters)
    bench.run("for _, m in ipairs {'app', 'net', 'net.http', 'net2'} do Debug.info('x', m) end Debug.info('x')")
    found = [re.fullmatch(r"INFO  (?:\[(.+)\] )?x", line) for line in messages(bench)]
    assert [module and module[1] for module in found] == shown


def test_filters_are_told(bench: LuaBench) -> None:
    bench.run("Debug.addModuleFilter('a.*', false) Debug.addAdvancedFilter('b', 'exact', true)")
    assert bench.value("return Debug.getFilterSummary()") == {
        "default_enabled": True,
        "total_rules": 2,
        "rules": [
            {"pattern": "a.*", "pattern_type": "wildcard", "enabled": False},
            {"pattern": "b", "pattern_type": "exact", "enabled": True},
        ],
    }
    for wrong in (
        "addAdvancedFilter('(', 'regex', true)",
        "addAdvancedFilter('a', 'glob', true)",
        "removeModuleFilter('z')",
    ):
        assert bench.value(f"return Debug.{wrong}") is False


TIMERS = """
local outer = Debug.timer('outer')
local inner = Debug.timer('inner')
inner:lap('half')
local note = Debug.recordEvent
local noted = {note(inner.id, 'read', {rows = 3}), note(inner, 'again'), note('x', 'no')}
local kept = ('x'):rep(1000000)
local took = inner:stop()
local whole = outer:stop()
noted[4] = note(inner, 'late')
"""


def test_a_report_has_the_timers_of_the_run(bench: LuaBench) -> None:
    assert bench.value("return Debug.performanceReport()") == "Performance report: no timers (Debug.timer starts one)"
    noted, ordered = bench.value(TIMERS + "return {noted, took <= whole}")
    assert (noted, ordered) == ([True, True, False, False], True)
    lines = bench.value("Debug.timer('open') return Debug.performanceReport()").splitlines()
    assert lines[0] == "Performance report: 3 timers, 1 running"
    rows = {line.split()[0]: line.split() for line in lines[2:]}
    assert set(rows) == {"outer", "inner", "open"}
    assert (rows["inner"][1], rows["inner"][6]) == ("1", "3")
    assert rows["open"][-1] == "running"


def test_reports_for_programs_have_the_same_timers(bench: LuaBench) -> None:
    took = bench.value(TIMERS + "return {took, whole}")
    told = json.loads(bench.value("return Debug.jsonReport()"))
    outer, inner = told["timers"]
    assert (told["timer_count"], told["running"]) == (2, 0)
    assert [inner["elapsed_ms"], outer["elapsed_ms"]] == took
    assert (inner["parent"], outer.get("parent")) == (outer["id"], None)
    assert [event["name"] for event in inner["events"]] == ["read", "again"]
    assert inner["events"][0]["metadata"] == {"rows": 3}
    assert inner["laps"][0]["name"] == "half"
    stacks = dict(line.rsplit(" ", 1) for line in bench.value("return Debug.flameGraph()").splitlines())
    assert set(stacks) == {"outer", "outer;inner"}
    assert int(stacks["outer;inner"]) == int(took[0] * 1000)
    assert abs(int(stacks["outer"]) + int(stacks["outer;inner"]) - took[1] * 1000) <= 2


def test_reports_know_the_last_timers_and_keep_those_that_run(bench: LuaBench) -> None:
    bench.run("open = Debug.timer('open') for i = 1, 1500 do Debug.timer('t;' .. i):stop() end")
    told = json.loads(bench.value("return Debug.jsonReport()"))
    assert told["timer_count"] == 1000
    assert (told["timers"][0]["name"], told["timers"][-1]["name"]) == ("open", "t;1500")
    assert bench.value("return Debug.flameGraph()").splitlines()[1].startswith("open;t 502 ")
    assert bench.value("return open:stop() ~= nil") is True


def test_memory_is_measured(bench: LuaBench) -> None:
    warm = "Debug.memoryStats() collectgarbage() collectgarbage() "
    code = warm + "local before = Debug.memoryStats() kept = ('x'):rep(2000000) return {before, Debug.memoryStats()}"
    before, after = bench.value(code)
    for name in ("used_bytes", "allocated_bytes"):
        assert after[name] - before[name] >= 1_990_000
    assert before["resident_bytes"] > 1_000_000
    assert bench.value(
        "local n = Debug.memoryStats().collections collectgarbage() return Debug.memoryStats().collections > n"
    )


def test_a_memory_snapshot_has_what_each_timer_used(bench: LuaBench) -> None:
    bench.run(TIMERS + "Debug.timer('open')")
    told = bench.value("return Debug.memorySnapshot()")
    assert told["active_trackers"] == 1
    assert told["timestamp_secs"] > 1_600_000_000
    assert told["tracker_memory_usage"]["inner_2"]["delta_bytes"] >= 900_000
    assert set(told["tracker_memory_usage"]["open_3"]) == {"start_bytes"}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("42", "42 (integer)"),
        ("2.5", "2.5 (number)"),
        ("true", "true (boolean)"),
        ("nil", "nil"),
        ("'x'", '"x" (string, 1 chars)'),
        ("print", "<function>"),
        ("{}", "{ (table, 0 pairs) }"),
        ("{1, 2}", "[ (array, 2 elements)\n  1 (integer)\n  2 (integer)\n]"),
        ("{a = {b = 1}}", "{ (table, 1 pairs)\n  a: { (table, 1 pairs)\n    b: 1 (integer)\n  }\n}"),
        ("{1, n = 2}", "{ (table, 2 pairs)\n  1 (integer)\n  n: 2 (integer)\n}"),
        ("{[2.5] = 1}", "{ (table, 1 pairs)\n  [2.5]: 1 (integer)\n}"),
        ("JSON.null", "null (null)"),
        ("JSON.array()", "[ (array, 0 elements) ]"),
    ],
)
def test_a_dump_has_values_and_types(bench: LuaBench, value: str, text: str) -> None:
    assert bench.value(f"return Debug.dump({value})") == text
    assert bench.value(f"return Debug.dump({value}, 'it')") == f"it:\n{text}"


def test_a_dump_of_a_table_in_itself_ends(bench: LuaBench) -> None:
    assert "t: <circular reference to depth 0>" in bench.value("local t = {} t.t = t return Debug.dump(t)")
    deep = bench.value("local t = {} for _ = 1, 30 do t = {t} end return Debug.dump(t)")
    assert "<deeper than 10>" in deep


def test_dumps_differ_in_how_much_they_show(bench: LuaBench) -> None:
    table = "{a = {1, 2, {3, {4}}}, s = ('x'):rep(300)}"
    compact = bench.value(f"return Debug.dumpCompact({table})")
    assert compact == '{a: [1, 2, [3, <deeper than 3>]], s: "' + "x" * 50 + '"…}'
    assert f'"{"x" * 200}"… (string, 300 chars)' in bench.value(f"return Debug.dump({table})")
    verbose = bench.value(f"return Debug.dumpVerbose({table})")
    assert f'"{"x" * 300}" (string, 300 chars)' in verbose
    assert re.match(r"<table: 0x[0-9a-f]+> \{ \(table, 2 pairs\)", verbose)


def test_a_dump_can_be_told_what_to_show(bench: LuaBench) -> None:
    options = "{max_array_elements = 2, max_table_pairs = 1, indent_size = 1, show_types = false}"
    assert bench.value(f"return Debug.dumpWithOptions({{{{1, 2, 3}}, b = 1, c = 2}}, {options})") == (
        "{\n [\n  1\n  2\n  … (1 more)\n ]\n b: 1\n … (1 more)\n}"
    )
    assert "has no option 'max_dept'; did you mean 'max_depth'?" in bench.caught(
        "Debug.dumpWithOptions(1, {max_dept = 1})"
    )
    assert "(number expected, got string)" in bench.caught("Debug.dumpWithOptions(1, {max_depth = 'x'})")


STACK = """
local function inner(x)
  local y = x + 1
  local told = Debug.%s(%s)
  return told
end
local function outer()
  local result = inner(4)
  return result
end
local told = outer()
return told
"""


def test_a_stack_trace_has_the_scripts_functions(bench: LuaBench) -> None:
    assert bench.value(STACK % ("stackTrace", "")) == (
        "Stack trace:\n  #0: in function 'inner' (test.lua:4)\n  #1: in function 'outer' (test.lua:8)\n"
        "  #2: in main chunk (test.lua:11)"
    )
    frames = json.loads(bench.value(STACK % ("stackTraceJson", "{max_depth = 2}")))["frames"]
    assert frames == [
        {"function": "inner", "source": "test.lua", "line": 4},
        {"function": "outer", "source": "test.lua", "line": 8},
    ]


def test_a_stack_trace_shows_values_and_lines_where_they_are_asked_for(bench: LuaBench) -> None:
    options = "{capture_locals = true, capture_upvalues = true, include_source = true}"
    told: Any = bench.value(STACK % ("stackTrace", options))
    assert "      local x = 4\n      local y = 5\n" in told
    assert "      local told = Debug.stackTrace(" in told
    assert re.search(r"upvalue inner = function: 0x", told)
