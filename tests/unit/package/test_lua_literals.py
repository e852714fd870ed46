"""Parameters as Lua: what a cell gives again is what was put in."""

from __future__ import annotations

import datetime
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from papermill.translators import papermill_translators

from llmspell.lua_literals import lua_assignment, lua_literal
from llmspell.papermill_lua import LuaTranslator
from llmspell_protocol.errors import InvalidRequest
from tests.support.lua_kernel import LuaBench

BENCH = LuaBench("None")


def _read_again(value: Any) -> Any:
    """What a script sees of a value that a cell was given."""
    return BENCH.value(f"return {lua_literal(value)}")


@pytest.mark.parametrize(
    "value",
    [
        *(True, False, 0, 7, -7, (1 << 63) - 1, -(1 << 63), 1 << 63, 12345678901234567890123, 0.1, -1.5e300, 5e-324),
        *("", "grün ✓ 𝄞", 'quote " and \\ and \n \r \t \0 \x7f', "end\u2028line", "]] --", "\x001"),
        *([], [1, None, "a"], {"a": 1, "end": 2, "two words": [{"b": []}], "": 0}, [[[[]]]], {"grün": True}),
    ],
    ids=repr,
)
def test_a_value_is_the_same_in_lua(value: Any) -> None:
    again = _read_again(value)
    assert (type(again), again) == (type(value), value)


_VALUES = st.recursive(
    st.booleans() | st.integers(-(1 << 70), 1 << 70) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inside: st.lists(inside, min_size=1) | st.dictionaries(st.text(min_size=1), inside, min_size=1),
    max_leaves=20,
)


@given(_VALUES)
def test_any_value_of_json_is_the_same_in_lua(value: Any) -> None:
    assert _read_again(value) == value


def test_what_is_no_finite_number_is_lua_s_own() -> None:
    assert lua_literal([math.inf, -math.inf]) == "{(1/0), (-1/0)}"
    assert BENCH.value(f"local x = {lua_literal(-math.inf)} return x < -1e308 and x == x * 2") is True
    assert BENCH.value(f"local x = {lua_literal(math.nan)} return x ~= x") is True
    assert BENCH.value(f"return tostring({lua_literal(2.0)})") == "2.0"


def test_nothing_is_nil_and_null_where_nil_would_be_a_hole() -> None:
    assert lua_literal(None) == "nil"
    assert lua_literal({"a": None}) == "{a = nil}"
    assert lua_literal([None, 1]) == "{JSON.null, 1}"


def test_what_yaml_has_beyond_json_gets_a_form() -> None:
    assert lua_literal(datetime.date(2026, 5, 1)) == '"2026-05-01"'
    assert BENCH.value(f"return #{lua_literal(bytes([0, 255, 10]))}") == 3
    assert lua_literal({1: "one", 2.5: "two"}) == '{[1] = "one", [2.5] = "two"}'
    assert lua_literal((1, 2)) == "{1, 2}"


@pytest.mark.parametrize("value", [{None: 1}, {math.nan: 1}, {(1, 2): 3}], ids=repr)
def test_a_key_that_no_table_has_is_refused(value: Any) -> None:
    with pytest.raises(InvalidRequest):
        lua_literal(value)


def test_a_list_without_an_end_is_refused() -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(InvalidRequest, match="nested deeper"):
        lua_literal(endless)


def test_a_name_that_lua_does_not_take_is_set_all_the_same() -> None:
    assert lua_assignment("alpha", "1") == "alpha = 1"
    assert lua_assignment("end", "1") == '_ENV["end"] = 1'
    assert BENCH.value(f"{lua_assignment('two words', '5')} return _G['two words']") == 5


def test_papermill_finds_the_translator_by_its_entry_point() -> None:
    assert papermill_translators.find_translator("llmspell", "lua") is LuaTranslator
    assert LuaTranslator.codify({"a": 1, "b": [True]}) == "-- Parameters\na = 1\nb = {true}\n"


def test_parameters_of_a_cell_are_listed_with_types_and_what_they_are() -> None:
    source = """\
-- a comment
alpha = 0.5 -- how much
local name = "x -- y" -- who
rows = { -- of the table
  {1, 2},
  {b = 3},
}
on, off = true, false
f = function(x)
  inner = 1
  if x then y = 2 elseif z then y = 3 end
  return x
end
print(alpha)
last = nil
"""
    found = [(one.name, one.inferred_type_name, one.help) for one in LuaTranslator.inspect({"source": source})]
    assert found == [
        ("alpha", "number", "how much"),
        ("name", "string", "who"),
        ("rows", "table", "of the table"),
        ("f", "function", ""),
        ("last", "nil", ""),
    ]
