"""What Shift-Tab shows, and how far a new line of a cell is indented."""

from __future__ import annotations

import pytest

from llmspell_kernel.scripting.lua import questions
from llmspell_kernel.scripting.lua.indent import next_indent
from llmspell_kernel.scripting.lua.reference import manual, sections
from tests.support.lua_kernel import LuaBench, reply
from tests.unit.kernel.test_lua_reference import AGENT


@pytest.fixture
def bench() -> LuaBench:
    bench = LuaBench()
    bench.kernel.answers["agent create"] = reply(agent=AGENT)
    return bench


@pytest.mark.parametrize(
    ("text", "beginning"),
    [
        ("LocalLLM.ch|at", "LocalLLM.chat(request[, on_chunk]) → answer\n\nAsks a model."),
        ("LocalLLM.chat(|", "LocalLLM.chat("),
        ("LocalLLM.chat(|)", "LocalLLM.chat("),
        ("LocalLLM.chat{prompt = 'a (b', |", "LocalLLM.chat("),
        ("LocalLLM.chat{prompt = 'a| b'}", "LocalLLM.chat("),
        ("Agent.builder():temper|ature(0)", "builder:temperature(number) → builder\n\n0 to 2"),
        ("local b = Agent.builder() b:temper|ature(0)", "builder:temperature(number) → builder\n\n0 to 2"),
        ("a:execute|", "agent:execute(input[, options]) → answer"),
        ("local b = x b:invokeStream|", "agent:invokeStream("),
        ("a|", "a: agent\n\n"),
        ("t|", "t: table (1 field)\n\n{n = 1}"),
        ("rows|", "rows: table (2 × 3)\n\n{{1, 2, 3}, {4, 5, 6}}"),
        ("s|", 's: string (3 bytes)\n\n"abc"'),
        ("n|", "n: integer\n\n1"),
        ("f|", "f(x, ...): function\n\nAdds one.\n\ndefined at test.lua:2"),
        ("string.rep|", "string.rep(s, n[, separator]) → string\n\nThe text n times"),
        ("s:upper|", "string.upper(s) → string\n\nWith capital letters.\n\nas in Lua 5.4"),
        ("ipairs(|", "ipairs(list) → function"),
        ("table.concat|", "table.concat(list[, separator[, i[, j]]]) → string"),
        ("JSON|", "JSON\n\nText to values"),
        ("print(|", "print(...)\n"),
        ("JSON.null|", "JSON.null → null\n"),
        ("Provider.isAvailable(|", "Provider.isAvailable(name) → boolean\n\nWhether it is configured"),
        ("nosuch|", None),
        ("|", None),
        ("1 + |", None),
    ],
)
def test_shift_tab_shows_what_is_at_the_cursor(bench: LuaBench, text: str, beginning: str | None) -> None:
    bench.run(
        "-- Adds one.\nfunction f(x, ...) return x + 1 end"
        " a = Agent.create{} t = {n = 1} rows = {{1, 2, 3}, {4, 5, 6}} s = 'abc' n = 1"
    )
    told = bench.inspected(text)
    assert told is None if beginning is None else told is not None and told.startswith(beginning), told


def test_an_entry_has_an_example_and_since_when(bench: LuaBench) -> None:
    told = bench.inspected("Agent.create|")
    assert told is not None
    assert 'local agent = Agent.create { model = "smollm2:135m"' in told
    assert told.endswith("\n\nsince 0.1.0")


def test_the_source_of_a_function_is_shown_where_more_is_wanted(bench: LuaBench) -> None:
    bench.run("x = 1\nfunction f(a)\n  return a\nend\ny = 2")
    told = bench.inspected("f|", detailed=True)
    assert told is not None
    assert told.endswith("\n\nfunction f(a)\n  return a\nend")
    assert "return a" not in (bench.inspected("f|") or "")


def test_markdown_has_code_in_fences(bench: LuaBench) -> None:
    data = questions.inspect(bench.sandbox, "JSON.parse", 5)
    assert data["text/markdown"].startswith("```lua\nJSON.parse(text) → any\n```\n\nThe value of a JSON text.")


@pytest.mark.parametrize(
    ("code", "indent"),
    [
        ("for i = 1, 3 do", "  "),
        ("function f()\n  if x then", "    "),
        ("function f()\n  if x then\n    y()\n  end", "  "),
        ("function f()\n    if x then", "        "),
        ("function f()\n    if x then\n        y()\n    end", "    "),
        ("if x then\n  y()\nelse", "  "),
        ("repeat", "  "),
        ("t = {", "  "),
        ("t = {\n  a = {", "    "),
        ("t = {\n  a = {\n    1,\n  },", "  "),
        ("f(function()", "  "),
        ("f(function()\n  g()\nend,", "  "),
        ("do\n\tx()\n\twhile y do", "\t\t"),
        ("x = [[\n    text", ""),
        ("--[[ a\n   comment", "   "),
        ("x = 'do {' .. (", "  "),
        ("-- if x then\nfor i = 1, 2 do", "  "),
        ("x =", "  "),
        ("", ""),
    ],
)
def test_a_new_line_is_indented_by_what_is_open(code: str, indent: str) -> None:
    assert next_indent(code) == indent


def test_every_function_of_lua_s_own_is_described_and_no_other(bench: LuaBench) -> None:
    known = set(
        bench.value(
            """
        local names = {}
        for name, value in pairs(_G) do
          if type(value) == "function" then names[#names + 1] = name end
        end
        for _, library in ipairs { "string", "table", "math", "utf8", "coroutine" } do
          for name, value in pairs(_G[library]) do
            if type(value) == "function" then names[#names + 1] = library .. "." .. name end
          end
        end
        return names
        """
        )
    )
    assert known - set(sections()) == set(manual())
