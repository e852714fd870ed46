"""Running chunks: values, errors with places, stops that nothing swallows, the memory limit."""

from __future__ import annotations

import pytest

from llmspell_kernel.scripting.lua.sandbox import ScriptFailure
from tests.support.lua_kernel import LuaBench, refused, reply


@pytest.fixture
def bench() -> LuaBench:
    return LuaBench()


def test_a_chunk_gives_its_first_value(bench: LuaBench) -> None:
    value = bench.run("return 1 + 1, 'ignored'")
    assert (value.data, value.text) == (2, "2")


def test_a_chunk_without_a_value_gives_none(bench: LuaBench) -> None:
    assert bench.run("local x = 1").text is None


def test_an_expression_shows_its_value_in_a_cell_only(bench: LuaBench) -> None:
    assert bench.sandbox.execute("6 * 7 -- the answer", "In[1]", shows_value=True).text == "42"
    assert bench.failure("6 * 7").kind == "syntax"


def test_the_last_expression_keeps_its_line_when_it_fails(bench: LuaBench) -> None:
    with pytest.raises(ScriptFailure) as caught:
        bench.sandbox.execute("JSON.parse(\n'{')", "In[1]", shows_value=True)
    assert caught.value.line == 1
    assert caught.value.message.startswith("In[1]:1: JSON parse error: ")


def test_variables_last_from_one_chunk_to_the_next(bench: LuaBench) -> None:
    bench.run("x = 5 local y = 6")
    assert bench.value("return {x, y == nil}") == [5, True]


def test_a_syntax_error_names_script_and_line(bench: LuaBench) -> None:
    failure = bench.failure("local x = 1\nx x", "chat.lua")
    assert failure.message == "chat.lua:2: syntax error near 'x'"
    assert (failure.kind, failure.script, failure.line) == ("syntax", "chat.lua", 2)


def test_a_first_line_for_the_shell_keeps_the_line_numbers(bench: LuaBench) -> None:
    assert bench.failure("#!/usr/bin/env llmspell\nerror('here')").message == "test.lua:2: here"


def test_an_error_comes_with_the_scripts_own_lines(bench: LuaBench) -> None:
    failure = bench.failure("local function ask()\n  error('boom')\nend\nlocal x = ask()\nreturn x")
    assert failure.message == "test.lua:2: boom"
    assert failure.line == 2
    assert list(failure.traceback) == ["test.lua:2: in local 'ask'", "test.lua:4: in main chunk"]


def test_an_error_in_a_coroutine_shows_its_stack_and_that_of_who_resumed_it(bench: LuaBench) -> None:
    failure = bench.failure("local co = coroutine.wrap(function()\n  error('in it')\nend)\nco()")
    assert (failure.message, failure.line, failure.source_line) == ("test.lua:2: in it", 2, "error('in it')")
    assert list(failure.traceback) == ["test.lua:2: in function <test.lua:1>", "test.lua:4: in main chunk"]


def test_an_error_in_a_stream_shows_its_stack(bench: LuaBench) -> None:
    failure = bench.failure("local s = Streaming.create(function()\n  error('late')\nend)\ns:collect()")
    assert list(failure.traceback) == ["test.lua:2: in function <test.lua:1>", "test.lua:4: in main chunk"]


def test_an_error_that_was_caught_leaves_no_stack_to_the_next(bench: LuaBench) -> None:
    failure = bench.failure("pcall(coroutine.wrap(function()\n  error('in it')\nend))\nerror('mine')")
    assert (failure.message, list(failure.traceback)) == ("test.lua:4: mine", ["test.lua:4: in main chunk"])


@pytest.mark.parametrize(
    ("code", "line"),
    [
        ("local x = 1\n   x.y.z = 2", "x.y.z = 2"),
        ("local x = 1\nx x", "x x"),
        ("local function f() error({message = 'of a table'}) end\nf()", None),
        ("error('no place', 0)", "error('no place', 0)"),
        ("error('" + "x" * 400 + "')", "error('" + "x" * 152 + "…"),
    ],
)
def test_an_error_comes_with_the_line_that_it_is_about(bench: LuaBench, code: str, line: str | None) -> None:
    assert bench.failure(code).source_line == (line or code.split("\n")[0])


def test_an_error_in_a_function_of_an_earlier_chunk_shows_that_chunks_line(bench: LuaBench) -> None:
    bench.run("function f()\n  error('there')\nend", "In[1]")
    failure = bench.failure("f()", "In[2]")
    assert (failure.script, failure.line, failure.source_line) == ("In[1]", 2, "error('there')")


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("error({message = 'from a table'})", "test.lua:1: from a table"),
        ("error({code = 5})", 'test.lua:1: {"code":5}'),
        ("error(setmetatable({}, {__tostring = function() return 'shown' end}))", "test.lua:1: shown"),
        ("error('no place', 0)", "test.lua:1: no place"),
        ("error()", "test.lua:1: nil"),
        ("error(setmetatable({}, {__tostring = function() error('again') end}))", "(error object is a table)"),
    ],
)
def test_any_error_value_becomes_a_text(bench: LuaBench, code: str, message: str) -> None:
    assert bench.failure(code).message.endswith(message)


def test_a_misspelt_global_is_noticed(bench: LuaBench) -> None:
    failure = bench.failure("Agnet.create{}")
    assert failure.hint == "did you mean 'Agent'?"


def test_a_part_of_the_library_that_the_level_lacks_is_named() -> None:
    bench = LuaBench("None")
    failure = bench.failure("return string.rep('x', 3)")
    assert failure.hint == "'string' needs engines.lua.stdlib = \"Basic\" or more"


def test_a_failed_request_is_a_plain_string_for_pcall_and_keeps_code_and_hint_for_people(bench: LuaBench) -> None:
    bench.kernel.answers["model info"] = refused("model_not_found", "Model 'x' not found in any backend", "pull it")
    assert bench.caught("LocalLLM.info('x')") == "Model 'x' not found in any backend"
    failure = bench.failure("local info = LocalLLM.info('x')")
    assert failure.message == "test.lua:1: Model 'x' not found in any backend"
    assert failure.cause is not None
    assert (failure.cause["code"], failure.cause["hint"]) == ("model_not_found", "pull it")


def test_an_error_of_its_own_has_no_cause_from_an_earlier_request(bench: LuaBench) -> None:
    bench.kernel.answers["model info"] = refused("model_not_found", "Model 'x' not found in any backend")
    failure = bench.failure("pcall(LocalLLM.info, 'x') error('mine')")
    assert failure.cause is None


LOOPS = {
    "tight": "while true do end",
    "inside pcall": "while true do pcall(function() while true do end end) end",
    "inside xpcall": "xpcall(function() while true do end end, function(m) return m end) while true do end",
    "inside a coroutine": "local co = coroutine.create(function() while true do end end) "
    "while true do coroutine.resume(co) end",
    "inside wrap": "coroutine.wrap(function() while true do end end)()",
    "with many coroutines": "local t = {} while true do t[#t % 50 + 1] = coroutine.wrap(function() "
    "pcall(coroutine.yield) while true do end end) t[#t]() end",
    "in a metamethod": "local t = setmetatable({}, {__index = function() while true do end end}) "
    "local ok = pcall(function() return t.x end) return ok",
    "in a closing variable": "do local c <close> = setmetatable({}, {__close = function() while true do end end}) end",
}


@pytest.mark.parametrize("code", LOOPS.values(), ids=LOOPS.keys())
def test_a_stop_reaches_the_top(bench: LuaBench, code: str) -> None:
    bench.kernel.looks_left = 3
    failure = bench.failure(code)
    assert failure.kind == "stopped"
    assert failure.line == 1
    assert bench.value("local n = 0 for i = 1, 1e5 do n = n + 1 end return n") == 100_000


def test_a_stop_during_a_request_reaches_the_top(bench: LuaBench) -> None:
    bench.kernel.answers["model ps"] = reply()
    bench.kernel.before_event = lambda: bench.kernel.exit(0)
    assert bench.failure("while true do pcall(LocalLLM.ps) end").kind == "stopped"


def test_os_exit_ends_the_script_through_pcall(bench: LuaBench) -> None:
    assert bench.failure("pcall(os.exit, 3) print('not reached')").kind == "stopped"
    assert (bench.kernel.exit_status, bench.kernel.output) == (3, "")


@pytest.mark.parametrize(("argument", "status"), [("", 0), ("true", 0), ("false", 1), ("2", 2), ("256 + 7", 7)])
def test_os_exit_takes_truth_and_numbers(bench: LuaBench, argument: str, status: int) -> None:
    bench.failure(f"os.exit({argument})")
    assert bench.kernel.exit_status == status


BOMBS = {
    "table": "local t = {} for i = 1, 1e9 do t[i] = {i} end",
    "string": "local s = 'x' while true do s = s .. s end",
    "rep": "return ('x'):rep(1e9)",
    "recursion": "local function f() return 1 + f() end f()",
    "buffer": "local t = {} for i = 1, 1e6 do t[i] = ('x'):rep(1000) .. i end return table.concat(t)",
    "coroutines": "local t = {} while true do t[#t + 1] = coroutine.create(print) end",
    "inside pcall": "local t = {} while true do local ok, m = pcall(function() while true do t[#t + 1] = {} end end) "
    "if not ok then error(m, 0) end end",
    "parsed": "local t = {} while true do t[#t + 1] = JSON.parse('[' .. ('[1,2,3],'):rep(10000) .. '0]') end",
}


@pytest.mark.parametrize("code", BOMBS.values(), ids=BOMBS.keys())
def test_too_much_memory_is_an_error_and_the_state_lives_on(bench: LuaBench, code: str) -> None:
    failure = bench.failure(code)
    assert failure.kind == "memory"
    assert "not enough memory" in failure.message
    assert bench.value("return 1 + 1") == 2


def test_a_call_from_inside_a_coroutine_gets_its_answer(bench: LuaBench) -> None:
    bench.kernel.answers["model ps"] = reply(models=[])
    code = "local co = coroutine.wrap(function() coroutine.yield(LocalLLM.ps()) end) return type(co().models)"
    assert bench.value(code) == "table"


@pytest.mark.parametrize(
    "waiting",
    [
        "local co = coroutine.wrap(function() LocalLLM.ps() return 'done' end) return co()",
        "local co = coroutine.create(LocalLLM.ps) coroutine.resume(co) return 'done'",
        "return Streaming.create(function() LocalLLM.ps() return 'done' end).next()",
    ],
)
def test_a_function_of_the_scripts_can_be_called_while_it_waits(bench: LuaBench, waiting: str) -> None:
    bench.kernel.answers["model ps"] = reply()
    function = bench.sandbox._runtime.eval(b"function(n) total = (total or 0) + n return {n, n * 2} end")
    results = []
    bench.kernel.before_event = lambda: results.append(bench.sandbox.call(function, [21]))
    assert bench.value(waiting) == "done"
    assert results == [[21, 42]]


def test_scripts_never_hold_a_python_object(bench: LuaBench) -> None:
    code = """
    local seen, found = {}, {}
    local function walk(value, path)
      if type(value) == "userdata" then found[#found + 1] = path end
      if type(value) ~= "table" or seen[value] then return end
      seen[value] = true
      for k, v in next, value do walk(v, path .. "." .. tostring(k)) end
      walk(getmetatable(value), path .. ".meta")
    end
    walk(_G, "_G") walk(getmetatable(""), "string")
    return #found .. table.concat(found, " ") .. type(python)
    """
    assert bench.value(code) == "0nil"
