"""A cell shows the value of a last statement that is an expression, and runs each statement once."""

from __future__ import annotations

import pytest

from llmspell_kernel.scripting.lua.sandbox import ScriptFailure
from tests.support.lua_kernel import LuaBench

BEFORE = "t = {a = {b = 3}} calls = 0 function f(x) calls = calls + 1 return x end function id(x) return x end"


def shown(code: str) -> str | None:
    bench = LuaBench()
    bench.run(BEFORE)
    return bench.sandbox.execute(code, "In[1]", shows_value=True).text


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("6*7", "42"),
        ("x = 20 + 1\nx * 2", "42"),
        ("x = 20 + 1\nx * 2 -- twice", "42"),
        ("x = 1 --[[ a\nlong comment ]] x --[==[ and\none more ]==]", "1"),
        ("x = 1; x;", "1"),
        ("x = 1; x;;", "1"),
        ("local a = 1\nlocal b = 2\na + b", "3"),
        ("t.a.b", "3"),
        ("x = 5\nt['a'].b", "3"),
        ("f(4)", "4"),
        ("x = 5\nf(x)", "5"),
        ("f(1) f(2)", "2"),
        ("('%d'):format(3)", '"3"'),
        ("s = 'a'\ns:upper()", '"A"'),
        ("local function g() return 9 end\ng()", "9"),
        ("for i = 1, 2 do f(i) end\ncalls", "2"),
        ("while true do break end calls", "0"),
        ("repeat local done = true until done\ncalls", "0"),
        ("if calls then calls = 2 end\ncalls", "2"),
        ("goto done\ncalls = 7\n::done::\ncalls", "0"),
        ("x = 'do end'\n\"two\\nlines\"", '"two\\nlines"'),
        ("y = [[\nlong\n]]\n#y", "5"),
        ("x = 1\n(id)(x)", "1"),
        ("x = id\nnot x", "false"),
        ("-5", "-5"),
        ("{1, 2}", "{1, 2}"),
        ("x = function() end\n{1}", "{1}"),
        ("0x1Fp2 + 1e3 + .5", "1124.5"),
        ("calls ~= 0 and 'y' or 'n'", '"n"'),
        ("f(1)\n+ 1", "2"),
        ("return 3", "3"),
        ("x = 5 return x + 1", "6"),
        ("function() return 1 end", None),
    ],
)
def test_the_last_expression_is_shown(code: str, text: str | None) -> None:
    if text is None:
        assert (shown(code) or "").startswith("function: ")
    else:
        assert shown(code) == text


@pytest.mark.parametrize(
    "code",
    [
        *("", "-- nothing", "x = 1", "local x <const> = 1", "print(1)", "nil", "function g() return 1 end"),
        *("io.write('x')", "io.stdout:write('x')", "io.stderr"),
        *("x = id\n(5)", "x = calls\n-calls", "f(1) goto done ::done::", "f(1) do end", "for i = 1, 2 do f(i) end"),
    ],
)
def test_other_statements_show_nothing(code: str) -> None:
    assert shown(code) is None


def test_a_call_that_goes_on_in_the_next_line_stays_one_call() -> None:
    bench = LuaBench()
    bench.run(BEFORE)
    bench.sandbox.execute("x = id\n(5)", "In[1]", shows_value=True)
    assert bench.value("return x") == 5


def test_each_statement_runs_once() -> None:
    bench = LuaBench()
    bench.run(BEFORE)
    bench.sandbox.execute("f(1)\nf(2)\nf(3) .. ''", "In[1]", shows_value=True)
    assert bench.value("return calls") == 3


def test_nothing_of_a_cell_runs_that_is_no_lua() -> None:
    bench = LuaBench()
    bench.run(BEFORE)
    with pytest.raises(ScriptFailure, match="unexpected symbol near '='"):
        bench.sandbox.execute("f(1)\nx = = 2\ncalls", "In[1]", shows_value=True)
    assert bench.value("return calls") == 0


def test_a_failing_last_expression_keeps_its_line_in_the_stack() -> None:
    bench = LuaBench()
    with pytest.raises(ScriptFailure) as caught:
        bench.sandbox.execute("function g() error('no') end\ng()", "In[1]", shows_value=True)
    assert list(caught.value.traceback)[:2] == ["In[1]:1: in global 'g'", "In[1]:2: in main chunk"]


@pytest.mark.parametrize("code", ["x = 1\nx *", "6 *", "f(", "x = 1\nf(1,", "[[abc", "function g()", "if x then"])
def test_an_expression_that_stops_in_the_middle_is_incomplete(code: str) -> None:
    assert LuaBench().sandbox.is_complete(code) == "incomplete"


@pytest.mark.parametrize("code", ["x = 1\nx * 2", "x = 1\nf(x)", "6*7 -- done", "1, 2"])
def test_an_expression_that_is_whole_is_complete(code: str) -> None:
    assert LuaBench().sandbox.is_complete(code) == "complete"


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("1, 'two', nil, {3}", '1  "two"  nil  {3}'),
        ("return nil, 'no such file', 2", 'nil  "no such file"  2'),
        ("(function() return nil, 'why' end)()", 'nil  "why"'),
        ("('aa'):gsub('a', 'b')", '"bb"  2'),
        ("nil, nil", "nil  nil"),
        ("1, nil", "1  nil"),
        ("pcall(function() end)", "true"),
        ("pcall(function() return nil end)", "true  nil"),
        ("(nil)", None),
    ],
)
def test_all_values_are_shown_as_at_luas_own_prompt(code: str, text: str | None) -> None:
    assert shown(code) == text
