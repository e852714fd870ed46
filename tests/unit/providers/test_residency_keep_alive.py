"""How long a model stays in memory that is not used, and why: keep-alives, pins and reasons."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.fake_worker import FakeEngine, FakeWorker
from tests.support.residencies import answer_once, residency_with
from tests.support.turns import settle
from tests.support.virtual_time import run_in_virtual_time

DEADLINE_S = 60.0


async def _gone(worker: FakeWorker) -> None:
    async with asyncio.timeout(DEADLINE_S):
        await worker.ended.wait()


def test_an_idle_model_goes_when_its_keep_alive_is_over() -> None:
    async def scenario() -> None:
        engine, residency = FakeEngine(), residency_with(keep_alive_s=300.0)
        await answer_once(residency, engine, "m")
        assert residency.models[0].expires_at is not None
        await asyncio.sleep(299)
        assert not engine.workers[0].ended.is_set()
        await asyncio.sleep(2)
        assert engine.workers[0].ended.is_set()
        assert residency.models == []
        await residency.close()

    run_in_virtual_time(scenario())


def test_a_busy_model_outlives_its_keep_alive() -> None:
    async def scenario() -> None:
        engine, residency = FakeEngine(), residency_with(keep_alive_s=0.0)
        async with residency.use(engine.blueprint("m"), client="me"):
            await settle()
            assert not engine.workers[0].ended.is_set()
            assert residency.models[0].expires_at is None
        await _gone(engine.workers[0])
        await residency.close()

    run_in_virtual_time(scenario())


def test_keep_alive_minus_one_and_pins_have_no_timer_and_say_so() -> None:
    async def scenario() -> None:
        engine, residency = FakeEngine(), residency_with(keep_alive_s=0.0)
        forever = await residency.load(engine.blueprint("forever"), keep_alive_s=-1.0, pin=False)
        pinned = await residency.load(engine.blueprint("pinned"), keep_alive_s=None, pin=True)
        await settle()
        assert forever.expires_at is None
        assert forever.reason(next_to_go=False) == "idle, stays until it is unloaded"
        assert pinned.reason(next_to_go=False) == "pinned: stays until it is unloaded"
        assert residency.next_to_go() is forever
        assert len(residency.models) == 2
        await residency.close()

    run_in_virtual_time(scenario())


def test_new_limits_hold_for_loaded_models_but_not_for_a_keep_alive_of_their_own() -> None:
    async def scenario() -> None:
        engine, residency = FakeEngine(), residency_with(keep_alive_s=-1.0)
        usual = await residency.load(engine.blueprint("usual"), keep_alive_s=None, pin=False)
        own = await residency.load(engine.blueprint("own"), keep_alive_s=3000.0, pin=False)
        pinned = await residency.load(engine.blueprint("pinned"), keep_alive_s=None, pin=True)
        assert usual.expires_at is None
        before = own.expires_at

        residency.reconfigure(keep_alive_s=500.0, max_queue=3)
        assert usual.expires_at is not None
        assert usual.last_used is not None
        assert (usual.expires_at - usual.last_used).total_seconds() == pytest.approx(500, abs=0.1)
        assert (own.expires_at, pinned.expires_at) == (before, None)
        assert {model.queue.max_waiting for model in residency.models} == {3}
        assert residency.models[0].keep_alive_s == 500.0

        residency.reconfigure(keep_alive_s=0.0, max_queue=3)
        await _gone(engine.workers[0])
        assert {model.name for model in residency.models} == {"own", "pinned"}
        await residency.close()

    run_in_virtual_time(scenario())


def test_a_model_in_use_gets_its_new_keep_alive_when_it_is_done() -> None:
    async def scenario() -> None:
        engine, residency = FakeEngine(), residency_with()
        async with residency.use(engine.blueprint("m"), client="me"):
            residency.reconfigure(keep_alive_s=0.0, max_queue=3)
            await settle()
            assert [model.name for model in residency.models] == ["m"]
        await _gone(engine.workers[0])
        await residency.close()

    run_in_virtual_time(scenario())


def test_a_model_that_is_no_longer_pinned_goes_after_its_keep_alive() -> None:
    async def scenario() -> None:
        engine, residency = FakeEngine(), residency_with(keep_alive_s=0.0)
        await residency.load(engine.blueprint("m"), keep_alive_s=None, pin=True)
        await settle()
        assert len(residency.models) == 1
        residency.unpin("m")
        residency.unpin("unknown")
        await _gone(engine.workers[0])
        await residency.close()

    run_in_virtual_time(scenario())


@pytest.mark.parametrize("keep_alive_s", [float("inf"), float("nan"), 1e15])
def test_a_keep_alive_beyond_every_calendar_means_never(keep_alive_s: float) -> None:
    async def scenario() -> None:
        engine, residency = FakeEngine(), residency_with()
        model = await residency.load(engine.blueprint("m"), keep_alive_s=keep_alive_s, pin=False)
        await settle()
        assert model.expires_at is None
        assert model.reason(next_to_go=False) == "idle, stays until it is unloaded"
        await residency.close()

    run_in_virtual_time(scenario())


def test_reasons_say_what_is_answered_and_when_a_model_goes() -> None:
    async def scenario() -> None:
        engine, residency = FakeEngine(), residency_with(keep_alive_s=272.0)
        model = await residency.load(engine.blueprint("m", slots=1), keep_alive_s=None, pin=False)
        assert (
            model.reason(next_to_go=True)
            == "idle, unloads in 4m 32s; the first to go if another model needs the memory"
        )
        async with residency.use(engine.blueprint("m", slots=1), client="me"):
            waiting = asyncio.create_task(answer_once(residency, engine, "m"))
            await settle()
            assert model.reason(next_to_go=False) == "answers 1 request, 1 waiting"
        await waiting
        await residency.close()

    run_in_virtual_time(scenario())
