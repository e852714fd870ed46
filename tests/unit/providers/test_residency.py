"""Which models are in memory: loads that are shared or given up, and what goes when memory is needed."""

from __future__ import annotations

import asyncio

import pytest

from llmspell_protocol.errors import OutOfMemory
from llmspell_providers.residency.residency import Residency
from tests.support.fake_worker import MB, FakeEngine, FakeWorker
from tests.support.residencies import answer_once, residency_with
from tests.support.turns import settle
from tests.support.virtual_time import run_in_virtual_time

DEADLINE_S = 60.0


def test_requests_for_one_model_load_it_once() -> None:
    async def scenario() -> None:
        engine = FakeEngine(gate=asyncio.Event())
        residency = residency_with()
        requests = [asyncio.create_task(answer_once(residency, engine, "m")) for _ in range(5)]
        await engine.starting.wait()
        assert residency.models[0].reason(next_to_go=False) == "loading for 5 requests"
        assert engine.gate is not None
        engine.gate.set()
        await asyncio.gather(*requests)
        assert engine.started == ["m"]
        await residency.close()
        assert engine.workers[0].ended.is_set()

    run_in_virtual_time(scenario())


def test_a_waiter_that_gives_up_does_not_end_the_load_for_the_others() -> None:
    async def scenario() -> None:
        engine = FakeEngine(gate=asyncio.Event())
        residency = residency_with()
        leaves, stays = (asyncio.create_task(answer_once(residency, engine, "m")) for _ in range(2))
        await engine.starting.wait()
        leaves.cancel()
        await asyncio.wait([leaves])
        assert engine.given_up == []
        assert engine.gate is not None
        engine.gate.set()
        await stays
        await residency.close()

    run_in_virtual_time(scenario())


def test_the_load_ends_when_the_last_waiter_goes() -> None:
    async def scenario() -> None:
        engine = FakeEngine(gate=asyncio.Event())
        residency = residency_with()
        waiters = [asyncio.create_task(answer_once(residency, engine, "m")) for _ in range(2)]
        await engine.starting.wait()
        for waiter in waiters:
            waiter.cancel()
        await asyncio.wait(waiters)
        await settle()
        assert engine.given_up == ["m"]
        assert residency.models == []
        await residency.close()

    run_in_virtual_time(scenario())


def test_a_request_that_comes_while_an_unwanted_load_is_ended_gets_a_load_of_its_own() -> None:
    async def scenario() -> None:
        engine = FakeEngine(gate=asyncio.Event())
        residency = residency_with()
        first = asyncio.create_task(answer_once(residency, engine, "m"))
        await engine.starting.wait()
        first.cancel()
        second = asyncio.create_task(answer_once(residency, engine, "m"))
        await asyncio.wait([first])
        assert engine.gate is not None
        engine.gate.set()
        async with asyncio.timeout(DEADLINE_S):
            await second
        await residency.close()

    run_in_virtual_time(scenario())


def test_the_longest_unused_model_goes_when_another_needs_its_memory() -> None:
    async def scenario() -> None:
        engine, residency = FakeEngine(), residency_with(budget=250 * MB)
        await answer_once(residency, engine, "old")
        await answer_once(residency, engine, "young")
        await answer_once(residency, engine, "old")  # now young is the longest unused
        assert residency.next_to_go() is residency.get("young")
        await answer_once(residency, engine, "new")
        assert sorted(model.name for model in residency.models) == ["new", "old"]
        assert [worker.name for worker in engine.workers if worker.ended.is_set()] == ["young"]
        await residency.close()

    run_in_virtual_time(scenario())


def test_a_model_that_was_evicted_is_loaded_again_when_asked_for() -> None:
    async def scenario() -> None:
        engine, residency = FakeEngine(), residency_with(budget=150 * MB)
        for name in ("a", "b", "a"):
            await answer_once(residency, engine, name)
        assert engine.started == ["a", "b", "a"]
        assert [model.name for model in residency.models] == ["a"]
        await residency.close()

    run_in_virtual_time(scenario())


def test_pinned_and_busy_models_stay_and_the_refusal_says_who_holds_what() -> None:
    async def scenario() -> None:
        engine, residency = FakeEngine(), residency_with(budget=250 * MB)
        await residency.load(engine.blueprint("pinned"), keep_alive_s=None, pin=True)
        async with residency.use(engine.blueprint("busy"), client="me"):
            with pytest.raises(OutOfMemory) as caught:
                await answer_once(residency, engine, "third")
        details = caught.value.details
        assert details["needed_bytes"] == 100 * MB
        assert details["budget_bytes"] == 250 * MB
        assert {one["model"]: (one["bytes"], one["pinned"], one["reason"]) for one in details["held"]} == {
            "pinned": (100 * MB, True, "pinned: stays until it is unloaded"),
            "busy": (100 * MB, False, "answers 1 request"),
        }
        assert caught.value.retryable  # the busy one will be idle
        assert "'pinned@" not in caught.value.message
        assert "'pinned' (100 MB)" in caught.value.message
        await residency.close()

    run_in_virtual_time(scenario())


def test_what_other_processes_hold_is_taken_off_a_fixed_budget_and_off_no_other() -> None:
    residency = residency_with(budget=250 * MB)
    residency.count_beside(lambda: 100 * MB)
    assert residency.budget_bytes() == 150 * MB
    residency.count_beside(lambda: 300 * MB)
    assert residency.budget_bytes() == 0
    auto: Residency[FakeWorker] = Residency(
        memory_budget="auto", keep_alive_s=300.0, max_queue=10, available=lambda: 100 * MB
    )
    auto.count_beside(lambda: 50 * MB)
    assert auto.budget_bytes() == 80 * MB


def test_a_model_larger_than_the_budget_is_refused_for_good_and_evicts_no_other() -> None:
    async def scenario() -> None:
        engine, residency = FakeEngine(), residency_with(budget=150 * MB)
        await answer_once(residency, engine, "small")
        with pytest.raises(OutOfMemory) as caught:
            await answer_once(residency, engine, "huge", memory=200 * MB)
        assert not caught.value.retryable
        assert [model.name for model in residency.models] == ["small"]
        await residency.close()

    run_in_virtual_time(scenario())


def test_what_a_model_may_grow_by_counts_against_the_budget() -> None:
    async def scenario() -> None:
        engine, residency = FakeEngine(), residency_with(budget=250 * MB)
        await residency.load(engine.blueprint("a", growth=100 * MB), keep_alive_s=None, pin=True)
        with pytest.raises(OutOfMemory):
            await answer_once(residency, engine, "b")
        await residency.close()

    run_in_virtual_time(scenario())


def test_auto_is_four_fifths_of_what_would_be_available_without_our_models() -> None:
    async def scenario() -> None:
        free = 1000 * MB
        engine = FakeEngine()
        residency: Residency[FakeWorker] = Residency(
            memory_budget="auto", keep_alive_s=300.0, max_queue=10, available=lambda: free
        )
        assert residency.budget_bytes() == 800 * MB
        await answer_once(residency, engine, "m")
        free = 900 * MB  # the model's 100 MB are gone from it
        assert residency.budget_bytes() == 800 * MB
        free = 400 * MB  # another program has come
        assert residency.budget_bytes() == 400 * MB
        await residency.close()

    run_in_virtual_time(scenario())


def test_a_turn_tells_how_long_was_waited_for_the_load_and_how_long_for_a_slot() -> None:
    async def scenario() -> None:
        engine, residency = FakeEngine(), residency_with()

        async def times() -> tuple[float, float]:
            async with residency.use(engine.blueprint("m", slots=1), client="other") as turn:
                return turn.queue_ms, turn.load_ms

        async with residency.use(engine.blueprint("m", slots=1), client="me") as turn:
            assert turn.load_ms > 0
            second = asyncio.create_task(times())
            await settle()
        queue_ms, load_ms = await second
        assert load_ms == 0
        assert queue_ms > 0
        await residency.close()

    run_in_virtual_time(scenario())
