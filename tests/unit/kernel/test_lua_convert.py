"""Values across the border between Lua and the rest of the world."""

from __future__ import annotations

from typing import Any

import pytest
from lupa.lua54 import LuaRuntime

from llmspell_kernel.scripting.lua.convert import MAX_DEPTH, Border, NotConvertible, name_only
from tests.fuzz.wrong_values import deep


@pytest.fixture
def lua() -> Any:
    return LuaRuntime(encoding=None, register_eval=False, unpack_returned_tuples=True)


@pytest.fixture
def border(lua: Any) -> Border:
    return Border(lua)


@pytest.mark.parametrize(
    ("code", "value"),
    [
        ("nil", None),
        ("true", True),
        ("7", 7),
        ("7.0", 7.0),
        ("math.maxinteger", (1 << 63) - 1),
        ("0/0", None),
        ("math.huge", None),
        ("'grün'", "grün"),
        ("{}", {}),
        ("{1, 2, 3}", [1, 2, 3]),
        ("{1, nil, 3}", [1, None, 3]),
        ("{a = 1}", {"a": 1}),
        ("{1, 2, a = 3}", {"1": 1, "2": 2, "a": 3}),
        ("{[5] = 'x'}", {"5": "x"}),
        ("{[1.5] = 'x', [true] = 'y'}", {"1.5": "x", "true": "y"}),
        ("{{}, {{}}}", [{}, [{}]]),
    ],
)
def test_a_lua_value_becomes_plain_data(lua: Any, border: Border, code: str, value: Any) -> None:
    converted = border.to_python(lua.eval(code.encode()))
    assert converted == value
    assert type(converted) is type(value)


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        7,
        2.5,
        "grün",
        [1, [2]],
        {"a": {"b": [1]}},
        {},
        [],
        [[], {}],
        [1, None, 3],
        [None],
        2**64,
        -(10**400),
    ],
)
def test_plain_data_survives_the_way_there_and_back(lua: Any, border: Border, value: Any) -> None:
    assert border.to_python(border.to_lua(value)) == value


def test_integers_stay_exact_and_what_lua_counts_with_is_its_own_integer(lua: Any, border: Border) -> None:
    kind = lua.eval(b"math.type")
    assert kind(border.to_lua(1 << 62)) == b"integer"
    assert lua.eval(b"tostring")(border.to_lua(1 << 63)) == b"9223372036854775808"
    assert kind(border.to_lua(2.0)) == b"float"


def test_what_json_reads_comes_back_the_same(border: Border) -> None:
    value = {"a": None, "b": [None, {"c": None}], "d": [], "e": {}, "f": 12345678901234567890}
    assert border.to_python(border.to_lua(value, nulls=True)) == value


@pytest.mark.parametrize(
    ("code", "value"),
    [
        ("table.remove(a)", []),
        ("a[3] = 'x'", ["only", None, "x"]),
        ("a.name = 'x'", {"1": "only", "name": "x"}),
        ("setmetatable(a, nil) a[1] = nil", {}),
        ("a[1] = {table.unpack(a)}", [["only"]]),
    ],
)
def test_an_array_that_a_script_changes_stays_one_as_long_as_it_has_indices_only(
    lua: Any, border: Border, code: str, value: Any
) -> None:
    array = border.to_lua(["only"])
    lua.eval(f"function(a) {code} end".encode())(array)
    assert border.to_python(array) == value


def test_null_can_neither_be_changed_nor_be_read_like_an_object(lua: Any, border: Border) -> None:
    for code, message in (("n.x = 1", "change JSON.null"), ("return n.x", "index JSON.null")):
        ok, said = lua.eval(f"function(n) return pcall(function() {code} end) end".encode())(border.null)
        assert not ok
        assert message in said.decode()


def test_null_in_an_object_is_an_absent_key(lua: Any, border: Border) -> None:
    table = border.to_lua({"a": None, "b": 1})
    assert list(table.keys()) == [b"b"]


def test_a_cycle_is_refused(lua: Any, border: Border) -> None:
    with pytest.raises(NotConvertible, match=f"nested deeper than {MAX_DEPTH} or contains itself"):
        border.to_python(lua.execute(b"local t = {} t.t = t return t"))


def test_nesting_is_allowed_up_to_its_limit(lua: Any, border: Border) -> None:
    build = lua.eval(b"function(n) local t = 1 for _ = 1, n do t = {t} end return t end")
    border.to_python(build(MAX_DEPTH))
    with pytest.raises(NotConvertible):
        border.to_python(build(MAX_DEPTH + 1))


def test_a_table_that_names_one_subtable_again_and_again_does_not_fill_the_memory(lua: Any, border: Border) -> None:
    bomb = lua.execute(b"local t = {} for _ = 1, 60 do t = {t, t} end return t")
    with pytest.raises(NotConvertible, match="values"):
        border.to_python(bomb)


def test_functions_are_refused_in_requests_and_named_in_results(lua: Any, border: Border) -> None:
    table = lua.eval(b"{f = print}")
    with pytest.raises(NotConvertible, match="Unsupported Lua type for JSON conversion"):
        border.to_python(table)
    assert border.to_python(table, name_only) == {"f": "<function>"}
    thread = lua.execute(b"local c = coroutine.create(coroutine.yield) coroutine.resume(c) return c")
    assert border.to_python(thread, name_only) == "<thread>"


def test_bytes_that_are_not_text_are_an_error_that_says_where(lua: Any, border: Border) -> None:
    with pytest.raises(NotConvertible, match="byte 3 of 4"):
        border.to_python(lua.eval(rb'"ab\xffc"'))


def test_what_has_no_form_in_lua_is_refused_or_made_whole(lua: Any, border: Border) -> None:
    assert border.to_lua("a\ud83d") == "a\ufffd".encode()
    for value in (10**5000, [-(10**5000)], deep(MAX_DEPTH + 1, lists=True), deep(450, lists=False), object()):
        with pytest.raises(NotConvertible):
            border.to_lua(value)
    border.to_lua(deep(MAX_DEPTH, lists=True))
