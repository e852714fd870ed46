"""Small parts of the debugger: hashes of cells, lines with code, hit conditions, time that stands still."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ipykernel.compiler import murmur2_x86
from lupa.lua54 import LuaRuntime

from llmspell_kernel.scripting.cell_paths import HASH_SEED, murmur2
from llmspell_kernel.scripting.clock import ScriptClock
from llmspell_kernel.scripting.debugging.breakpoints import Breakpoints
from llmspell_kernel.scripting.debugging.lab_types import for_lab
from llmspell_kernel.scripting.lua.debugger.code_lines import code_lines
from llmspell_protocol.errors import InvalidRequest
from tests.support.virtual_time import run_in_virtual_time


@given(st.text())
def test_a_cell_has_the_hash_that_ipykernel_gives_it(text: str) -> None:
    if text.isascii() or text.encode("utf-8", "ignore").decode() == text:
        assert murmur2(text.encode("utf-8", "ignore"), HASH_SEED) == murmur2_x86(text, HASH_SEED)  # type: ignore[no-untyped-call]


def _lines(source: str) -> list[int]:
    dump: Any = LuaRuntime(encoding=None).eval("function(source) return string.dump(load(source)) end")
    return code_lines(dump(source.encode()))


def test_lines_with_code_are_those_of_all_functions() -> None:
    source = (
        "-- a comment\nlocal x = 1\n\nlocal function f(...)\n  local y = 'a text'\n  -- nothing\n  return y, ...\nend\n"
    )
    assert _lines(source + "return {\n  x,\n  2.5,\n}\n") == [2, 5, 7, 8, 9, 10, 12]


def test_lines_far_apart_are_told_too() -> None:
    assert _lines("local x = 1" + "\n" * 500 + "x = 2" + "\n" * 70_000 + "return x") == [1, 501, 70_501]


@pytest.mark.parametrize(
    ("given_text", "operator", "number"),
    [("5", "==", 5), (" >= 2 ", ">=", 2), ("% 3", "%", 3), ("=1", "==", 1), ("<9", "<", 9)],
)
def test_hit_conditions(given_text: str, operator: str, number: int) -> None:
    made = Breakpoints().replace("/x.lua", [{"line": 1, "hitCondition": given_text}])[0].to_worker()
    assert (made["operator"], made["number"]) == (operator, number)


@pytest.mark.parametrize(
    "fields",
    [
        {"line": 0},
        {},
        None,
        {"line": True},
        {"line": 1, "hitCondition": "often"},
        {"line": 1, "condition": 5},
        {"line": 1, "hitCondition": "%0"},
    ],
)
def test_what_is_no_breakpoint_is_refused(fields: Any) -> None:
    with pytest.raises(InvalidRequest):
        Breakpoints().replace("/x.lua", [fields])


def test_a_breakpoint_that_stays_keeps_its_number() -> None:
    points = Breakpoints()
    first = points.replace("/x.lua", [{"line": 1}, {"line": 2, "condition": "x"}])
    second = points.replace("/x.lua", [{"line": 2, "condition": "x"}, {"line": 1, "condition": "y"}])
    assert [one.id for one in first] == [1, 2]
    assert [one.id for one in second] == [2, 3]
    assert points.replace("/x.lua", []) == []
    assert points.paths == ()


@pytest.mark.parametrize(
    ("variable", "kind"),
    [
        ({"value": "5", "type": "integer"}, "int"),
        ({"value": str(1 << 60), "type": "integer"}, None),
        ({"value": "5.0", "type": "float"}, None),
        ({"value": "true", "type": "boolean"}, "bool"),
        ({"value": '"a"', "type": "string"}, "str"),
        ({"value": "{}", "type": "table"}, None),
    ],
)
def test_jupyterlab_gets_types_that_let_values_be_seen(variable: dict[str, str], kind: str | None) -> None:
    assert for_lab(variable).get("type") == kind


def test_neither_limit_comes_nearer_while_a_script_stands() -> None:
    async def body() -> None:
        reached: list[str] = []
        clock = ScriptClock(5, 10, reached.append)
        clock.begin()
        await asyncio.sleep(3)
        clock.freeze()
        await asyncio.sleep(1000)
        clock.thaw()
        await asyncio.sleep(1)
        assert reached == []
        await asyncio.sleep(2)
        assert "computing time limit of 5s" in reached[0]

    run_in_virtual_time(body())
