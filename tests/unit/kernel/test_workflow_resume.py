"""Workflows that hypothesis makes, cut at any call and resumed: they end as if nothing had cut them."""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llmspell_protocol.errors import InvalidRequest, NotFound
from tests.support.workflow_bench import Failing, WorkflowBench
from tests.support.workflow_trees import Node, has_lasting_failures_in_a_loop, whole, workflows


def without_races(node: Node) -> Node:
    """The same, in which no branch ends another: which of two is first is not said here."""
    inner = tuple(without_races(one) for one in node.inner)
    return node._replace(inner=inner, goes_on=node.goes_on or node.kind == "parallel")


def is_parallel(node: Node) -> bool:
    """Whether something in it runs beside something else."""
    return node.kind == "parallel" or any(is_parallel(one) for one in node.inner)


class Cut:
    """A bench whose tool `call` cancels the execution at the call of this number, as the end of a kernel does."""

    def __init__(self, home: Path, at: int | None) -> None:
        self.bench = WorkflowBench(home)
        self.finished: list[str] = []
        self.calls = 0
        self.task: asyncio.Task[Any] | None = None
        self._at = at
        self._failed: dict[str, int] = {}
        self.bench.tools.acts["call"] = self._call

    async def _call(self, arguments: Mapping[str, Any]) -> str:
        name = arguments["step"]
        self.calls += 1
        if self.calls == self._at and self.task is not None:
            self.task.cancel()
            await asyncio.Event().wait()
        self._failed[name] = self._failed.get(name, 0) + 1
        if self._failed[name] <= arguments["failures"]:
            raise Failing(f"{name} failed")
        self._failed[name] = 0
        self.finished.append(name)
        return str(name)

    async def run(self, definition: Mapping[str, Any]) -> dict[str, Any] | None:
        """The result; None where it was cut."""
        self.task = asyncio.get_running_loop().create_task(self.bench.execute(definition, {"n": 1}))
        await asyncio.wait([self.task])
        await self.bench.service.close()
        return None if self.task.cancelled() else self.task.result()

    async def resume(self) -> dict[str, Any]:
        """The result of the one execution that was cut."""
        service, request = self.bench.service, self.bench.request
        [run] = await service.runs(request)
        _id, _workflow, result = await service.resume(request, run.execution_id, None, progress=False)
        assert await service.runs(request) == []
        await service.close()
        return result


OF_ONE_RUN = frozenset(("duration_ms", "execution_time", "execution_time_ms", "step_timings", "execution_id", "text"))


def comparable(value: Any, *, parallel: bool = False) -> Any:
    """A result without what is of one run: times, ids, and sentences with times in them.

    Of parallel branches the one that was cut ends last, or it doesn't: which step was the last is of one run too.
    """
    own = OF_ONE_RUN | {"last_completed_step"} if parallel else OF_ONE_RUN
    if isinstance(value, dict):
        return {key: comparable(item, parallel=parallel) for key, item in value.items() if key not in own}
    return [comparable(one, parallel=parallel) for one in value] if isinstance(value, list) else value


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(workflows(), st.integers(1, 12))
def test_a_workflow_that_was_cut_ends_as_if_nothing_had_cut_it(node: Node, at: int) -> None:
    definition = {**whole(without_races(node)), "checkpoint": True}

    async def body(home: Path) -> None:
        uncut = Cut(home, None)
        wanted = await uncut.run(definition)
        assert wanted is not None
        first = Cut(home, at)
        result = await first.run(definition)
        if result is not None:
            assert comparable(result) == comparable(wanted)
            return
        second = Cut(home, None)
        resumed, parallel = await second.resume(), is_parallel(node)
        assert comparable(resumed, parallel=parallel) == comparable(wanted, parallel=parallel)
        ran, once = Counter(first.finished + second.finished), Counter(uncut.finished)
        assert ran >= once
        if not is_parallel(node):
            assert ran == once  # What had finished did not run again. Of branches, others were cut as well.

    if has_lasting_failures_in_a_loop(node):
        return  # The tool counts failures over all rounds.
    with tempfile.TemporaryDirectory() as directory:
        home = Path(directory)
        home.chmod(0o700)
        asyncio.run(body(home))


def test_an_execution_is_named_by_the_beginning_of_its_id_where_that_is_the_only_one(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    definition = {
        "type": "sequential",
        "name": "w",
        "checkpoint": True,
        "steps": [{"name": "a", "tool": "call", "input": {"step": "a", "failures": 0}}],
    }

    async def body() -> None:
        for _ in range(17):  # Of sixteen beginnings of one digit two are the same.
            assert await Cut(tmp_path, 1).run(definition) is None
        last = Cut(tmp_path, None)
        service, request = last.bench.service, last.bench.request
        ids = [run.execution_id for run in await service.runs(request)]
        digit = next(id[0] for id in ids if sum(other[0] == id[0] for other in ids) > 1)
        meant = sorted(id for id in ids if id[0] == digit)
        for act in (service.discard(request, digit), service.resume(request, digit, None, progress=False)):
            with pytest.raises(InvalidRequest) as caught:
                await act
            assert caught.value.details["executions"] == meant
            assert ", ".join(meant) in caught.value.message
        assert (await service.discard(request, meant[0][:13])).execution_id == meant[0]
        assert (await service.resume(request, meant[1][:13], None, progress=False))[0] == meant[1]
        with pytest.raises(NotFound):
            await service.discard(request, "")
        with pytest.raises(NotFound):
            service.cancel(request, "")
        await service.close()

    asyncio.run(body())


def test_a_nested_workflow_that_is_tried_again_after_a_cut_does_its_steps_again(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    failing = {"name": "bad", "tool": "call", "input": {"step": "bad", "failures": 9}}
    good = {"name": "good", "tool": "call", "input": {"step": "good", "failures": 0}}
    nested = {"name": "in", "type": "sequential", "steps": [good, failing], "retries": 1, "retry_delay_ms": 0}
    definition = {"type": "sequential", "name": "w", "checkpoint": True, "steps": [nested]}

    async def body() -> None:
        first = Cut(tmp_path, 3)  # In the second try, before `good` has finished.
        assert await first.run(definition) is None
        assert first.finished == ["good"]
        second = Cut(tmp_path, None)
        result = await second.resume()
        assert not result["success"]
        # The first try is known; the second one is really made.
        assert (second.finished, second.calls) == (["good"], 2)

    asyncio.run(body())


def test_another_workflow_is_not_resumed_in_the_place_of_the_one_that_was_cut(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    step = {"name": "a", "tool": "call", "input": {"step": "a", "failures": 0}}
    definition = {"type": "sequential", "name": "w", "checkpoint": True, "steps": [step]}

    async def body() -> None:
        first = Cut(tmp_path, 1)
        assert await first.run(definition) is None
        second = Cut(tmp_path, None)
        service, request = second.bench.service, second.bench.request
        [run] = await service.runs(request)
        other = service.made_for_once(request, {**definition, "timeout_ms": 5})
        with pytest.raises(InvalidRequest, match="is not the workflow 'w' that was cut"):
            await service.resume(request, run.execution_id, other, progress=False)
        stranger = WorkflowBench(tmp_path)
        stranger.request.caller = stranger.request.caller._replace(key_id="other")
        assert await stranger.service.runs(stranger.request) == []
        with pytest.raises(NotFound):
            await stranger.service.resume(stranger.request, run.execution_id, None, progress=False)
        assert (await service.discard(request, run.execution_id)).name == "w"
        assert await service.runs(request) == []
        await asyncio.gather(service.close(), stranger.service.close())

    asyncio.run(body())
