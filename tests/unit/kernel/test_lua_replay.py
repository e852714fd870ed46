"""The global Replay: objects that describe how something is run again, and the comparison of results."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.lua_kernel import LuaBench


@pytest.fixture
def bench() -> LuaBench:
    return LuaBench()


def test_there_are_four_modes(bench: LuaBench) -> None:
    each = "for name, mode in pairs(Replay.modes) do names[name] = mode:name() .. tostring(mode) end"
    assert bench.value(f"local names = {{}} {each} return names") == {
        name: name * 2 for name in ("exact", "modified", "simulate", "debug")
    }


@pytest.mark.parametrize(
    ("made", "told"),
    [
        ("Replay.create_config()", ["exact", False, False, 300, {}]),
        ("Replay.create_config('debug')", ["debug", False, False, 300, {}]),
        (
            "Replay.create_config(Replay.modes.modified, "
            "{compare_results = true, stop_on_error = true, timeout_seconds = 5})",
            ["modified", True, True, 5, {}],
        ),
    ],
)
def test_a_configuration_tells_what_it_says(bench: LuaBench, made: str, told: list[Any]) -> None:
    code = (
        f"local c = {made} return {{tostring(c:get_mode()), c:should_compare_results(), c:should_stop_on_error(), "
        "c:get_timeout_seconds(), {n = #c:get_modifications()}}"
    )
    assert bench.value(code)[:4] == told[:4]


def test_modifications_are_added_and_switched(bench: LuaBench) -> None:
    code = """
    local config = Replay.create_config('modified')
    local one = Replay.create_modification('a.b', {1, 2})
    config:add_modification(one):add_modification('c', 'text', false)
    one:set_enabled(false)
    return {config:get_modifications(), one:get_path(), one:get_value(), one:is_enabled()}
    """
    assert bench.value(code) == [
        [{"path": "a.b", "value": [1, 2], "enabled": False}, {"path": "c", "value": "text", "enabled": False}],
        "a.b",
        [1, 2],
        False,
    ]


def test_schedules_are_descriptions(bench: LuaBench) -> None:
    code = """
    local s = Replay.schedules
    local once, interval, cron = s.once(5), s.interval(1, 60, 3), s:cron('0 9 * * 1')
    return {once:type_name(), once.delay_seconds, interval:type_name(), interval.interval_seconds,
      interval.max_executions, cron:type_name(), cron.expression}
    """
    assert bench.value(code) == ["once", 5, "interval", 60, 3, "cron", "0 9 * * 1"]


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (
            "Replay.create_config('slow')",
            "Validation error: Unknown replay mode: slow. Expected: exact, modified, simulate, debug",
        ),
        (
            "Replay.create_config('exact', {timeout = 1})",
            "Validation error: Replay.create_config has no option 'timeout'",
        ),
        (
            "Replay.create_config('exact', {stop_on_error = 1})",
            "bad argument #2 to 'Replay.create_config: stop_on_error'",
        ),
        ("Replay.schedules.once(-1)", "Validation error: Replay.schedules.once takes seconds of 0 or more, got -1"),
        ("Replay.schedules.interval(0, 0/0)", "Validation error: Replay.schedules.interval takes seconds"),
        (
            "Replay.schedules.cron('daily')",
            "Validation error: a cron expression has five fields, or six with seconds; 'daily' has 1",
        ),
        (
            "Replay.create_modification(5)",
            "bad argument #1 to 'Replay.create_modification' (string expected, got number)",
        ),
        ("Replay.create_comparator():compare_json('{', '{}')", "JSON parse error: "),
    ],
)
def test_what_is_wrong_is_said(bench: LuaBench, code: str, message: str) -> None:
    assert bench.caught(code).startswith(message)


@pytest.mark.parametrize(
    ("first", "second", "score", "differences"),
    [
        ('{"a": [1, 2], "b": null}', '{"b": null, "a": [1, 2]}', 1, None),
        ("[]", "[]", 1, None),
        ("[]", "{}", 0, [("", "[] and {}")]),
        (
            '{"a": 1, "b": {"c": 2, "d": 3}}',
            '{"a": 1, "b": {"c": 4}}',
            1 / 3,
            [("b.c", "2 and 4"), ("b.d", "only in the first: 3")],
        ),
        ("[1, 2]", "[1, 2, 3]", 2 / 3, [("[2]", "only in the second: 3")]),
        ('{"a": [{"b": "x"}]}', '{"a": [{"b": "y"}]}', 0, [("a[0].b", '"x" and "y"')]),
    ],
)
def test_two_results_are_compared_value_by_value(
    bench: LuaBench, first: str, second: str, score: float, differences: list[tuple[str, str]] | None
) -> None:
    told = bench.value(f"return Replay.create_comparator():compare_json([==[{first}]==], [==[{second}]==])")
    assert told["identical"] is (differences is None)
    assert told["similarity_score"] == pytest.approx(score)
    found = told.get("differences")
    assert (None if found is None else [(one["path"], one["description"]) for one in found]) == differences
    assert ("identical" in told["summary"]) is (differences is None)
