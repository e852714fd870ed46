"""Hooks around work: every verdict at every kind of point, their order, and what becomes of those that fail."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from llmspell_kernel.request import Request
from llmspell_kernel.scripting.contexts import Contexts
from llmspell_kernel.services.events.service import EventsService
from llmspell_kernel.services.hooks.hook import Occasion
from llmspell_kernel.services.hooks.points import POINTS, demand_point, demand_priority
from llmspell_kernel.services.hooks.service import HooksService
from llmspell_kernel.services.hooks.verdict import NoVerdict, read_verdict
from llmspell_kernel.services.hooks.work import HookedWork
from llmspell_profiles.schema.settings import Settings
from llmspell_protocol.errors import Forbidden, InvalidRequest, ScriptLimit, ToolError, Unsupported
from tests.support.hook_bench import CALCULATOR, HookBench, asked, no_requests, run, settings_of

BEFORE, AFTER, ERROR = "BeforeToolExecution", "AfterToolExecution", "ToolError"


class Work:
    """Work that fails as often as it is told to, and keeps the data that it got."""

    def __init__(self, failures: int = 0) -> None:
        self.given: list[Mapping[str, Any]] = []
        self._failures = failures

    async def __call__(self, data: Mapping[str, Any]) -> str:
        self.given.append(data)
        if len(self.given) <= self._failures:
            raise ToolError("it broke", retryable=True)
        return f"did {data['parameters']}"


async def around(bench: HookBench, work: Work, request: Request | None = None) -> str:
    return await bench.services.around(
        request or asked(),
        HookedWork(
            before=BEFORE,
            after=AFTER,
            error=ERROR,
            component=CALCULATOR,
            data={"tool_name": "calculator", "parameters": 1},
            work=work,
            made=lambda value: f"made {value}",
            target="tool_name",
        ),
    )


def test_work_without_a_hook_is_just_done() -> None:
    async def scene() -> None:
        bench, work = HookBench(), Work()
        assert await around(bench, work) == "did 1"
        assert not bench.hooks.registered(BEFORE, asked())

    run(scene)


def test_without_any_hook_nothing_of_theirs_is_made() -> None:
    async def scene() -> None:
        hooks = HooksService(Settings, Contexts(Settings, no_requests, None))
        events = EventsService(Settings, Contexts(Settings, no_requests, None), hooks, environment={})
        work = Work()
        done = await hooks.around(
            asked(),
            HookedWork(
                before=BEFORE, after=AFTER, error=ERROR, component=CALCULATOR, data={"parameters": 1}, work=work
            ),
        )
        assert done == "did 1"
        assert not hooks.registered(BEFORE, asked())
        assert (await hooks.run(BEFORE, asked(), component=CALCULATOR, data={})).kind == "continue"
        events.publish("x", None, request=asked())
        assert not events.wanted("x")
        assert "registry" not in vars(hooks)
        assert "bus" not in vars(events)
        assert events.bus.processed == 1

    run(scene)


@pytest.mark.parametrize("said", [None, "continue", True, {"type": "continue"}])
def test_a_hook_that_says_go_on_changes_nothing(said: Any) -> None:
    async def scene() -> None:
        bench, work = HookBench(), Work()
        bench.hook(BEFORE, said)
        bench.hook(AFTER, said)
        bench.hook(ERROR, said)
        assert await around(bench, work) == "did 1"
        assert bench.points == [BEFORE, AFTER]
        assert bench.occasions[-1].data == {"tool_name": "calculator", "parameters": 1, "result": "did 1"}

    run(scene)


@pytest.mark.parametrize(
    ("said", "result", "times"),
    [
        ("skip", "made None", 0),
        ({"type": "skipped", "reason": "no"}, "made None", 0),
        ({"type": "replace", "data": "this"}, "made this", 0),
        ({"type": "modified", "data": {"parameters": 2}}, "did 2", 1),
        ({"type": "redirect", "target": "other"}, "did 1", 1),
    ],
)
def test_what_a_hook_before_the_work_says_is_done(said: Any, result: str, times: int) -> None:
    async def scene() -> None:
        bench, work = HookBench(), Work()
        bench.hook(BEFORE, said)
        assert await around(bench, work) == result
        assert len(work.given) == times
        if said == {"type": "redirect", "target": "other"}:
            assert work.given[0]["tool_name"] == "other"

    run(scene)


@pytest.mark.parametrize("said", ["not today", {"type": "cancel", "reason": "not today"}])
@pytest.mark.parametrize("point", [BEFORE, AFTER, ERROR])
def test_a_hook_can_cancel_at_every_point(said: Any, point: str) -> None:
    async def scene() -> None:
        bench = HookBench()
        bench.hook(point, said)
        with pytest.raises(Forbidden, match="Operation cancelled by hook: not today") as raised:
            await around(bench, Work(failures=1 if point == ERROR else 0))
        assert raised.value.details == {"hook": "test", "point": point, "reason": "not today"}

    run(scene)


@pytest.mark.parametrize(
    ("said", "result"),
    [
        ({"type": "replace", "data": "this"}, "made this"),
        ({"type": "modified", "data": {"result": "better"}}, "made better"),
        ("skip", "made None"),
    ],
)
def test_what_a_hook_behind_the_work_says_is_its_result(said: Any, result: str) -> None:
    async def scene() -> None:
        bench = HookBench()
        bench.hook(AFTER, said)
        assert await around(bench, Work()) == result

    run(scene)


def test_a_hook_of_errors_sees_the_error_and_may_put_a_result_in_its_place() -> None:
    async def scene() -> None:
        bench = HookBench()
        bench.hook(ERROR, {"type": "replace", "data": "fallback"})
        assert await around(bench, Work(failures=1)) == "made fallback"
        assert bench.occasions[0].data["error"] == "it broke"
        assert bench.occasions[0].data["code"] == "tool_error"

    run(scene)


def test_an_error_that_no_hook_settles_is_raised_with_the_text_that_hooks_gave_it() -> None:
    async def scene() -> None:
        bench = HookBench()
        bench.hook(ERROR, {"type": "modified", "data": {"error": "in other words"}})
        with pytest.raises(ToolError, match="in other words"):
            await around(bench, Work(failures=1))

    run(scene)


@pytest.mark.parametrize("point", [BEFORE, ERROR])
def test_retry_does_failed_work_again(point: str) -> None:
    async def scene() -> None:
        bench, work = HookBench(), Work(failures=2)
        bench.hook(point, {"type": "retry", "delay_ms": 0, "max_attempts": 3})
        assert await around(bench, work) == "did 1"
        assert len(work.given) == 3

    run(scene)


def test_retry_ends_with_its_attempts() -> None:
    async def scene() -> None:
        bench, work = HookBench(), Work(failures=9)
        bench.hook(ERROR, {"type": "retry", "delay_ms": 0, "max_attempts": 3})
        with pytest.raises(ToolError):
            await around(bench, work)
        assert len(work.given) == 3

    run(scene)


def test_retry_behind_the_work_does_it_again() -> None:
    async def scene() -> None:
        bench, work = HookBench(), Work()
        bench.hook(AFTER, {"type": "retry", "delay_ms": 0, "max_attempts": 2})
        assert await around(bench, work) == "did 1"
        assert len(work.given) == 2

    run(scene)


def test_hooks_are_called_by_priority_and_then_as_they_were_registered() -> None:
    async def scene() -> None:
        bench, order = HookBench(), []

        def noting(name: str) -> Any:
            async def act(occasion: Occasion) -> None:
                order.append(name)

            return act

        for name, priority in (
            *(("last", "lowest"), ("fourth", "low"), ("second", "normal"), ("third", "normal")),
            *(("first", "high"), ("very first", "highest")),
        ):
            bench.hook(BEFORE, priority=priority, act=noting(name))
        await around(bench, Work())
        assert order == ["very first", "first", "second", "third", "fourth", "last"]

    run(scene)


def test_the_first_that_settles_the_work_has_the_last_word() -> None:
    async def scene() -> None:
        bench = HookBench()
        bench.hook(BEFORE, {"type": "modified", "data": {"parameters": 5}}, priority="high")
        bench.hook(BEFORE, {"type": "replace", "data": "second"})
        bench.hook(BEFORE, "never reached", priority="low")
        assert await around(bench, Work()) == "made second"
        assert bench.occasions[1].data["parameters"] == 5

    run(scene)


def test_a_hook_that_raises_is_told_and_ignored_and_off_after_five_in_a_row() -> None:
    async def scene() -> None:
        bench = HookBench()

        async def act(occasion: Occasion) -> None:
            raise ToolError("the hook broke")

        hook = bench.hook(BEFORE, act=act)
        for _ in range(8):
            assert await around(bench, Work()) == "did 1"
        assert (hook.calls, hook.failures, hook.is_off) == (5, 5, True)
        assert len([line for line in bench.told if "switched off" in line]) == 1
        assert len(bench.told) == 6

    run(scene)


def test_a_call_that_goes_well_begins_the_count_of_failures_anew() -> None:
    async def scene() -> None:
        bench = HookBench()

        async def act(occasion: Occasion) -> None:
            if len(bench.occasions) % 5:
                raise ToolError("the hook broke")

        hook = bench.hook(BEFORE, act=act)
        for _ in range(12):
            await around(bench, Work())
        assert not hook.is_off

    run(scene)


def test_a_hook_that_hangs_is_left_behind_after_its_time() -> None:
    async def scene() -> None:
        bench = HookBench(settings_of(hooks={"timeout_ms": 1}))

        async def act(occasion: Occasion) -> None:
            await asyncio.Event().wait()

        hook = bench.hook(BEFORE, act=act)
        assert await around(bench, Work()) == "did 1"
        assert hook.failures == 1
        assert "1 ms (hooks.timeout_ms)" in bench.told[0]

    run(scene)


@pytest.mark.parametrize(
    "said",
    [
        42,
        {},
        {"type": "unheard of"},
        {"type": "modified"},
        {"type": "redirect"},
        {"type": "retry", "delay_ms": -1},
        False,
    ],
)
def test_what_says_nothing_is_a_failure(said: Any) -> None:
    with pytest.raises(NoVerdict):
        read_verdict(said, {})

    async def scene() -> None:
        bench = HookBench()
        bench.hook(BEFORE, said)
        assert await around(bench, Work()) == "did 1"
        assert "failed and is ignored" in bench.told[0]

    run(scene)


def test_a_script_s_hook_is_called_for_what_comes_of_its_own_requests_alone() -> None:
    async def scene() -> None:
        bench = HookBench()
        bench.hook(BEFORE, "stop", context="script-1")
        own = asked(context="script-1")
        for request in (own, asked(parent=own), asked(context="script-2", parent=own)):
            with pytest.raises(Forbidden):
                await around(bench, Work(), request)
        for request in (asked(), asked(context="script-2"), asked(key="other", context="script-3")):
            assert await around(bench, Work(), request) == "did 1"

    run(scene)


def test_a_hook_of_the_configuration_is_called_for_everything() -> None:
    async def scene() -> None:
        bench = HookBench()
        bench.hook(BEFORE)
        for request in (asked(), asked(context="script-2"), asked(key="other")):
            await around(bench, Work(), request)
        assert len(bench.occasions) == 3

    run(scene)


def test_calls_beyond_the_rate_are_left_out_which_is_told_once() -> None:
    async def scene() -> None:
        bench = HookBench(settings_of(hooks={"rate_limit_per_minute": 2}))
        bench.hook(BEFORE)
        for _ in range(5):
            assert await around(bench, Work()) == "did 1"
        assert 2 <= len(bench.occasions) < 5
        assert len([line for line in bench.told if "rate_limit_per_minute" in line]) <= 2

    run(scene)


def test_a_limit_that_was_reached_and_what_was_refused_are_told_once_each() -> None:
    async def scene() -> None:
        bench, request = HookBench(), asked()
        bench.hook("ResourceLimitExceeded")
        bench.hook("SecurityViolation")
        limit, refused = ScriptLimit("too long"), Forbidden("Permission denied")
        for error in (limit, limit, refused, refused, ToolError("neither"), Forbidden("no", details={"hook": "x"})):
            await bench.hooks.failed(request, error)
        assert bench.points == ["ResourceLimitExceeded", "SecurityViolation"]
        assert bench.occasions[0].data["error"] == "too long"

    run(scene)


def test_hooks_of_a_script_end_with_it() -> None:
    async def scene() -> None:
        bench = HookBench()
        bench.hooks.forget("script-1")
        assert bench.hooks.list(asked(context="script-1").caller) == []

    run(scene)


def test_points_that_do_not_exist_or_are_never_reached_are_refused() -> None:
    assert demand_point("custom:mine") == "custom:mine"
    assert all(demand_point(point) == point for point in POINTS)
    with pytest.raises(InvalidRequest, match="Unknown hook point: BeforeToolExecutoin") as unknown:
        demand_point("BeforeToolExecutoin")
    assert unknown.value.hint == "did you mean 'BeforeToolExecution'?"
    for point in ("MemoryUsageHigh", "CpuUsageHigh", "PerformanceThresholdExceeded"):
        with pytest.raises(Unsupported, match="is never reached"):
            demand_point(point)
    with pytest.raises(InvalidRequest, match="one of highest, high, normal, low, lowest, not 'urgent'"):
        demand_priority("urgent")


def test_every_point_is_reached_somewhere() -> None:
    kernel = Path(__file__).parents[3] / "llmspell_kernel"
    sources = "".join(path.read_text() for path in kernel.rglob("*.py") if path.name != "points.py")
    assert [point for point in POINTS if f'"{point}"' not in sources] == []
