"""Workflows that hypothesis makes, against an interpreter of twenty lines: order, times, results and states agree."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, NamedTuple

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.support.virtual_time import run_in_virtual_time
from tests.support.workflow_bench import Failing, WorkflowBench
from tests.support.workflow_trees import Node, has_lasting_failures_in_a_loop, whole, workflows


class Ended(NamedTuple):
    """When it ended, whether well, which calls began when, and which steps ended when, and how."""

    at: float
    ok: bool
    calls: list[tuple[float, str]]
    steps: list[tuple[float, str, bool]]


def interpreted(node: Node, at: float) -> Ended:
    """What has to come of a step that begins at a time."""
    calls, steps, ok = [], [], True
    if node.kind == "call":
        tries = min(node.failures, node.retries) + 1
        calls = [(at + number * node.takes, node.name) for number in range(tries)]
        at, ok = at + tries * node.takes, node.failures < tries
    elif node.kind == "parallel":
        ended = [interpreted(one, at) for one in node.inner]
        failed = [one.at for one in ended if not one.ok]
        at = min(failed) if failed and not node.goes_on else max(one.at for one in ended)
        calls = [call for one in ended for call in one.calls if call[0] < at]
        steps, ok = [step for one in ended for step in one.steps if step[0] <= at], not failed
    else:
        chosen = node.inner if node.kind != "conditional" else node.inner[node.chosen : node.chosen + 1]
        for one in chosen * node.rounds:
            inner = interpreted(one, at)
            at, ok, calls, steps = inner.at, ok and inner.ok, calls + inner.calls, steps + inner.steps
            if not inner.ok and not (node.goes_on or one.goes_on):
                break
    return Ended(at, ok, calls, [*steps, (at, node.name, ok)])


def first(step: tuple[float, str, bool]) -> float:
    return step[0]


def bench_of_calls() -> WorkflowBench:
    """A bench whose tool `call` takes its time, and fails as often in a row as it is told."""
    bench, failed = WorkflowBench(), dict[str, int]()

    async def call(arguments: Mapping[str, Any]) -> str:
        name = arguments["step"]
        await asyncio.sleep(arguments["takes"])
        failed[name] = failed.get(name, 0) + 1
        if failed[name] <= arguments["failures"]:
            raise Failing(f"{name} failed")
        failed[name] = 0
        return str(name)

    bench.tools.acts["call"] = call
    return bench


def rounded(calls: list[tuple[float, str]]) -> list[tuple[float, str]]:
    return sorted((round(at, 6), name) for at, name in calls)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@example(Node("parallel", "p", (Node("call", "a", takes=1), Node("call", "b", takes=2, failures=1))))
@given(workflows())
def test_order_results_and_states_are_those_of_the_model(node: Node) -> None:
    async def body() -> None:
        bench = bench_of_calls()
        began = asyncio.get_running_loop().time()
        result = await bench.execute(whole(node))
        wanted = interpreted(node, began)
        assert rounded(bench.tools.begun) == rounded(wanted.calls)
        assert result["success"] is wanted.ok
        assert round(asyncio.get_running_loop().time() - wanted.at, 6) == 0
        assert bench.tools.running == 0
        told = [(name, event) for event, name in bench.told if event in ("step_completed", "step_failed")]
        ended = [(name, "step_completed" if ok else "step_failed") for _, name, ok in sorted(wanted.steps, key=first)]
        assert sorted(told) == sorted(ended[: len(told)])
        assert len(told) == len(wanted.steps) - (node.kind != "call")  # The whole is a workflow here, and no step.
        own = {name: one["success"] for name, one in result["step_results"].items()}
        last = {name: ok for _, name, ok in wanted.steps}
        assert own == {one.name: last[one.name] for one in node.inner if one.name in last}

    if not has_lasting_failures_in_a_loop(node):
        run_in_virtual_time(body())


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(workflows(), st.floats(0.1, 0.9))
def test_a_cancelled_workflow_ends_at_once_and_leaves_nothing_running(node: Node, share: float) -> None:
    async def body() -> None:
        bench = bench_of_calls()
        loop = asyncio.get_running_loop()
        before = asyncio.all_tasks()
        wanted = interpreted(node, loop.time())
        cut = loop.time() + (wanted.at - loop.time()) * share
        if any(abs(at - cut) < 1e-6 for at, _ in wanted.calls):
            return  # Which of two at one moment is first is not said.
        running = loop.create_task(bench.execute(whole(node)))
        loop.call_at(cut, running.cancel)
        await asyncio.wait([running])
        assert running.cancelled()
        assert round(loop.time() - cut, 6) == 0
        assert rounded(bench.tools.begun) == rounded([call for call in wanted.calls if call[0] < cut])
        assert bench.tools.running == 0
        assert asyncio.all_tasks() == before

    if not has_lasting_failures_in_a_loop(node):
        run_in_virtual_time(body())
