"""The globals that need no kernel: JSON, Logger, Utils, Streaming, Debug, ARGS and arg; display and completion."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.support.lua_kernel import LuaBench


@pytest.fixture
def bench() -> LuaBench:
    return LuaBench()


@pytest.mark.parametrize(
    ("code", "value"),
    [
        ('return JSON.parse(\'{"a": [1, 2.5, null, "x"]}\')', {"a": [1, 2.5, None, "x"]}),
        (
            "return JSON.stringify(JSON.parse('[12345678901234567890, -9223372036854775809]'))",
            "[12345678901234567890,-9223372036854775809]",
        ),
        ("return 'id ' .. JSON.parse('12345678901234567890')", "id 12345678901234567890"),
        ("return JSON.parse('9223372036854775807') == math.maxinteger", True),
        ("return JSON.stringify(JSON.parse('[1,null,3]'))", "[1,null,3]"),
        ("return #JSON.parse('[1,null,3]')", 3),
        ("return JSON.parse('[null]')[1] == JSON.null", True),
        ("return JSON.parse('{\"a\": null}').a == JSON.null", True),
        ("return JSON.stringify({a = JSON.null, b = {JSON.null}})", '{"a":null,"b":[null]}'),
        ('return JSON.stringify(JSON.parse(\'{"a": [], "b": {}}\'))', '{"a":[],"b":{}}'),
        ("return JSON.stringify({JSON.array(), JSON.array{1}})", "[[],[1]]"),
        ("return tostring(JSON.null)", "null"),
        ("return JSON.stringify(Utils.deep_copy(JSON.parse('[null, []]')))", "[null,[]]"),
        ("return Utils.deep_copy(JSON.null) == JSON.null", True),
        ("return JSON.stringify(Utils.merge({a = {b = 1}}, {a = JSON.null}))", '{"a":null}'),
        ("return JSON.stringify(Utils.merge({a = {b = 1}}, {a = JSON.array()}))", '{"a":[]}'),
        ("return JSON.stringify({b = 1, a = {2, 3}})", '{"a":[2,3],"b":1}'),
        ("return JSON.stringify({1}, 2)", "[\n  1\n]"),
        ("return JSON.stringify({1}, true)", "[\n  1\n]"),
        ("return JSON.stringify({1}, false)", "[1]"),
        ("return JSON.stringify({})", "{}"),
        ("return JSON.stringify('grün')", '"grün"'),
        ("return JSON.encode({1}) .. JSON.decode('\"x\"')", "[1]x"),
        ("return JSON:parse('5')", 5),
        ("return JSON.stringify(nil)", "null"),
        ("return JSON.parse('\"\\\\ud83d\"')", "\ufffd"),
        ('return JSON.parse(\'{"a\\\\udc00": "\\\\ud83d\\\\ude00"}\')', {"a\ufffd": "😀"}),
        ("return JSON.stringify(JSON.parse(('9'):rep(400))) == ('9'):rep(400)", True),
    ],
)
def test_json_goes_both_ways(bench: LuaBench, code: str, value: Any) -> None:
    assert bench.value(code) == value


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("JSON.parse('{\\n  x}')", "JSON parse error: .* at line 2 column 3$"),
        ("JSON.parse('NaN')", "JSON parse error: NaN is not a JSON value at line 1 column 1$"),
        ("JSON.parse(('['):rep(100000))", "JSON parse error: nested too deep$"),
        ("JSON.parse(('['):rep(200) .. (']'):rep(200))", "JSON parse error: nested deeper than 128$"),
        ("JSON.parse(('['):rep(900) .. (']'):rep(900))", "JSON parse error: nested "),
        ("JSON.parse('[' .. ('9'):rep(6000) .. ']')", "JSON parse error: a number is larger than numbers can be$"),
        ("JSON.parse('1e999')", "JSON parse error: a number is larger than numbers can be$"),
        ("JSON.stringify({}, 0/0)", "JSON stringify error: the indent has to be a finite number$"),
        ("JSON.stringify({}, 1/0)", "JSON stringify error: the indent has to be a finite number$"),
        ("JSON.parse(5)", r"bad argument #1 to 'JSON.parse' \(string expected, got number\)$"),
        ("JSON.stringify({print})", "JSON stringify error: Unsupported Lua type for JSON conversion$"),
        ("local t = {} t.t = t JSON.stringify(t)", "JSON stringify error: table is nested deeper"),
    ],
)
def test_json_errors_say_what_and_where(bench: LuaBench, code: str, message: str) -> None:
    assert re.match(message, bench.caught(code))


def test_logger_writes_to_the_kernels_log(bench: LuaBench) -> None:
    bench.run("Logger.info('started', {size = 2}) Logger:warn('slow', 'loader') Logger.log('ERROR', 'bad')")
    assert bench.kernel.logged == [
        ("INFO", "started", None, {"size": 2}),
        ("WARN", "slow", "loader", None),
        ("ERROR", "bad", None, None),
    ]
    bench.kernel.logged.clear()
    assert bench.value("return {Logger.setLevel('warn'), Logger.setLevel('loud'), Logger.getLevel()}") == [
        True,
        False,
        "WARN",
    ]
    bench.run("Logger.info('quiet')")
    assert bench.kernel.logged == []


def test_debug_writes_lines_on_standard_error(bench: LuaBench) -> None:
    bench.run("Debug.info('ready') Debug.warn('slow', 'loader') Debug.debug('hidden')")
    first, second = bench.kernel.errors.splitlines()
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d INFO  ready", first)
    assert second.endswith("WARN  [loader] slow")
    bench.run("Debug.setLevel('debug') Debug:debug('shown')")
    assert bench.kernel.errors.endswith("DEBUG shown\n")


def test_a_timer_runs_until_it_is_stopped(bench: LuaBench) -> None:
    code = """
    local timer = Debug.timer('load')
    local running, lap = timer:elapsed(), timer.lap('one')
    local time = timer:stop()
    local late = timer:lap('late')
    return {running >= 0, lap, time >= running, timer:stop() == nil, timer:elapsed() == nil, late, timer.id}
    """
    assert bench.value(code) == [True, True, True, True, True, False, "load_1"]


@pytest.mark.parametrize(
    ("code", "value"),
    [
        ("return Utils.hash('abc')", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        ("return Utils.hash('\\xff', 'md5')", "00594fd4f42ba43fc1ca0427a0576295"),
        ("return Utils.trim('  a b\\n')", "a b"),
        ("return Utils.split('a,,b', ',')", ["a", "", "b"]),
        ("return Utils.split('a.b', '.')", ["a", "b"]),
        ("return Utils.keys({b = 1, a = 2, [3] = 4})", [3, "a", "b"]),
        ("return Utils.merge({a = 1, o = {x = 1}}, {b = 2, o = {y = 2}})", {"a": 1, "b": 2, "o": {"x": 1, "y": 2}}),
        ("local t = {x = {1}} local c = Utils.deep_copy(t) c.x[1] = 2 return t.x[1]", 1),
        ("local t = {} t.t = t local c = Utils.deep_copy(t) return c.t == c and c ~= t", True),
        ("return #Utils.uuid()", 36),
        ("return math.type(Utils.now_ms())", "integer"),
        ("return Utils.timestamp():match('^%d+%-%d%d%-%d%dT%d%d:%d%d:%d%d%.%d%d%dZ$') ~= nil", True),
    ],
)
def test_each_function_of_utils_does_what_its_name_says(bench: LuaBench, code: str, value: Any) -> None:
    assert bench.value(code) == value


def test_sleep_takes_seconds(bench: LuaBench) -> None:
    bench.run("Utils.sleep(0.5) Utils:sleep(2)")
    assert bench.kernel.slept == [0.5, 2]
    assert "Validation error: Utils.sleep takes 0 to" in bench.caught("Utils.sleep(-1)")


def test_a_stream_gives_what_its_function_yields_and_returns(bench: LuaBench) -> None:
    make = "local s = Streaming.create(function() coroutine.yield(1) Streaming.yield(2) return 3 end) "
    assert bench.value(make + "return {s:next(), s:isDone(), s.next(), s:next(), s:isDone(), s:next() == nil}") == [
        1,
        False,
        2,
        3,
        True,
        True,
    ]
    assert bench.value(make + "s:next() return s:collect()") == [2, 3]
    assert bench.value(make + "local t = {} for v in s do t[#t + 1] = v end return t") == [1, 2, 3]
    assert bench.value(make + "local t = {} s:each(function(v) t[#t + 1] = v return v < 2 end) return t") == [1, 2]


def test_an_error_inside_a_stream_raises_and_ends_it(bench: LuaBench) -> None:
    make = "local s = Streaming.create(function() error('inside', 0) end) "
    code = make + "local ok, m = pcall(s.next) return {ok, m, s:isDone()}"
    assert bench.value(code) == [False, "inside", True]
    assert bench.caught("Streaming.yield(1)") == "Streaming.yield was called outside of a stream"


WORDS = ["in.txt", "--size", "3", "--output-dir=a=b", "second", "--verbose", "--last"]


@pytest.mark.parametrize(
    ("code", "value"),
    [
        ("return {ARGS[1], ARGS['1'], ARGS[2], #ARGS}", ["in.txt", "in.txt", "second", 2]),
        (
            "return {ARGS.size, ARGS['output-dir'], ARGS.output_dir, ARGS.verbose, ARGS.last}",
            ["3", "a=b", "a=b", "true", "true"],
        ),
        ("return {ARGS[0], ARGS['0'], arg[0]}", ["s.lua", "s.lua", "s.lua"]),
        ("return {#arg, arg[2], arg[7]}", [7, "--size", "--last"]),
        ("local n = 0 for _ in pairs(ARGS) do n = n + 1 end return n", 6),
        ("return ARGS.absent", None),
    ],
)
def test_arguments_have_every_form(bench: LuaBench, code: str, value: Any) -> None:
    bench.sandbox.set_arguments("s.lua", WORDS)
    assert bench.value(code) == value


def test_without_arguments_args_is_empty(bench: LuaBench) -> None:
    bench.sandbox.set_arguments("s.lua", [])
    assert bench.value("return {next(ARGS) == nil, #ARGS, #arg, arg[0]}") == [True, 0, 0, "s.lua"]


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("return 'a\\n\"b\"'", '"a\\n\\"b\\""'),
        ("return 2.0", "2.0"),
        ("return {1, 'x', n = {true}}", '{1, "x", n = {true}}'),
        ("return {['a b'] = 1, ['end'] = 2}", '{["a b"] = 1, ["end"] = 2}'),
        ("return {}", "{}"),
        ("local t = {} t.me = t return t", "{me = <cycle>}"),
        ("return setmetatable({}, {__tostring = function() return 'shown' end})", "shown"),
        ("return {{{{{{{}, 1}}}}}}", "{{{{{{…}}}}}}"),
    ],
)
def test_a_value_is_shown_as_a_person_reads_it(bench: LuaBench, code: str, text: str) -> None:
    assert bench.run(code).text == text


def test_what_is_shown_has_a_limited_size(bench: LuaBench) -> None:
    text = bench.run("local t = {} for i = 1, 1e4 do t[i] = ('x'):rep(1000) .. i end return t").text
    assert text is not None
    assert len(text) < 20_000
    assert text.endswith("…}")


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("return 1", "complete"),
        ("1 + 1", "complete"),
        ("", "complete"),
        ("-- comment", "complete"),
        ("for i = 1, 3 do", "incomplete"),
        ("local function f()\n  return 1", "incomplete"),
        ("if x then y()", "incomplete"),
        ("x = [[long", "incomplete"),
        ("--[[ long", "incomplete"),
        ("f(1,", "incomplete"),
        ("x +", "incomplete"),
        ("for for", "invalid"),
        ("x = = 1", "invalid"),
        ("end", "invalid"),
    ],
)
def test_open_blocks_are_incomplete(bench: LuaBench, code: str, status: str) -> None:
    assert bench.sandbox.is_complete(code) == status
