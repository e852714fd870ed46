"""Values across the border between Lua and the rest of the world."""

from __future__ import annotations

from typing import Any

import pytest
from lupa.lua54 import LuaRuntime

from llmspell_kernel.scripting.lua.convert import MAX_DEPTH, NotConvertible, name_only, to_lua, to_python
from tests.fuzz.wrong_values import deep


@pytest.fixture
def lua() -> Any:
    return LuaRuntime(encoding=None, register_eval=False, unpack_returned_tuples=True)


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
def test_a_lua_value_becomes_plain_data(lua: Any, code: str, value: Any) -> None:
    converted = to_python(lua.eval(code.encode()))
    assert converted == value
    assert type(converted) is type(value)


@pytest.mark.parametrize("value", [None, True, 7, 2.5, "grün", [1, [2]], {"a": {"b": [1]}}, {}])
def test_plain_data_survives_the_way_there_and_back(lua: Any, value: Any) -> None:
    assert to_python(to_lua(lua, value)) == value


def test_integers_stay_integers_and_longer_ones_become_floats(lua: Any) -> None:
    kind = lua.eval(b"math.type")
    assert kind(to_lua(lua, 1 << 62)) == b"integer"
    assert kind(to_lua(lua, 1 << 63)) == b"float"
    assert kind(to_lua(lua, 2.0)) == b"float"


def test_null_in_an_object_is_an_absent_key(lua: Any) -> None:
    table = to_lua(lua, {"a": None, "b": 1})
    assert list(table.keys()) == [b"b"]


def test_a_cycle_is_refused(lua: Any) -> None:
    with pytest.raises(NotConvertible, match=f"nested deeper than {MAX_DEPTH} or contains itself"):
        to_python(lua.execute(b"local t = {} t.t = t return t"))


def test_nesting_is_allowed_up_to_its_limit(lua: Any) -> None:
    build = lua.eval(b"function(n) local t = 1 for _ = 1, n do t = {t} end return t end")
    to_python(build(MAX_DEPTH))
    with pytest.raises(NotConvertible):
        to_python(build(MAX_DEPTH + 1))


def test_a_table_that_names_one_subtable_again_and_again_does_not_fill_the_memory(lua: Any) -> None:
    bomb = lua.execute(b"local t = {} for _ = 1, 60 do t = {t, t} end return t")
    with pytest.raises(NotConvertible, match="values"):
        to_python(bomb)


def test_functions_are_refused_in_requests_and_named_in_results(lua: Any) -> None:
    table = lua.eval(b"{f = print}")
    with pytest.raises(NotConvertible, match="Unsupported Lua type for JSON conversion"):
        to_python(table)
    assert to_python(table, name_only) == {"f": "<function>"}
    thread = lua.execute(b"local c = coroutine.create(coroutine.yield) coroutine.resume(c) return c")
    assert to_python(thread, name_only) == "<thread>"


def test_bytes_that_are_not_text_are_an_error_that_says_where(lua: Any) -> None:
    with pytest.raises(NotConvertible, match="byte 3 of 4"):
        to_python(lua.eval(rb'"ab\xffc"'))


def test_what_has_no_form_in_lua_is_refused_or_made_whole(lua: Any) -> None:
    assert to_lua(lua, "a\ud83d") == "a\ufffd".encode()
    for value in (10**400, [-(10**400)], deep(MAX_DEPTH + 1, lists=True), deep(450, lists=False), object()):
        with pytest.raises(NotConvertible):
            to_lua(lua, value)
    to_lua(lua, deep(MAX_DEPTH, lists=True))
