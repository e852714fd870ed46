"""How models leave memory otherwise: crashes, failed loads, unloads by force, and the end of the kernel."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from llmspell_protocol.errors import Cancelled, ModelInUse, ModelLoadFailed, WorkerCrashed
from llmspell_providers.residency.residency import Residency
from tests.support.fake_worker import MB, FakeEngine, FakeWorker
from tests.support.residencies import answer_once, residency_with
from tests.support.turns import settle
from tests.support.virtual_time import run_in_virtual_time

DEADLINE_S = 60.0
HOUR_S = 3600.0


async def _crash_later(residency: Residency[FakeWorker], engine: FakeEngine, when: asyncio.Event, name: str) -> None:
    async with residency.use(engine.blueprint(name, slots=1), client="me"):
        await when.wait()
        engine.workers[-1].crash()
        raise WorkerCrashed("as the process says it")


async def _crash(residency: Residency[FakeWorker], engine: FakeEngine, name: str) -> None:
    """A request whose worker dies, and which says so as the process would."""
    async with residency.use(engine.blueprint(name, slots=1), client="me"):
        engine.workers[-1].crash()
        raise WorkerCrashed("as the process says it")


def test_a_failed_load_fails_every_waiter_and_is_forgotten() -> None:
    async def scenario() -> None:
        engine = FakeEngine(gate=asyncio.Event(), failures=[ModelLoadFailed("no GGUF")])
        residency = residency_with()
        waiters = [asyncio.create_task(answer_once(residency, engine, "m")) for _ in range(3)]
        load = asyncio.create_task(residency.load(engine.blueprint("m"), keep_alive_s=None, pin=False))
        await engine.starting.wait()
        assert engine.gate is not None
        engine.gate.set()
        outcomes = await asyncio.gather(*waiters, load, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [ModelLoadFailed] * 4
        assert residency.models == []
        await answer_once(residency, engine, "m")
        await residency.close()

    run_in_virtual_time(scenario())


def test_a_crash_forgets_the_model_and_the_next_request_loads_it_again() -> None:
    async def scenario() -> None:
        engine, residency = FakeEngine(), residency_with()
        with pytest.raises(WorkerCrashed):
            await _crash(residency, engine, "m")
        assert residency.models == []
        await answer_once(residency, engine, "m")
        assert engine.started == ["m", "m"]
        await residency.close()

    run_in_virtual_time(scenario())


def test_those_whose_turn_had_not_come_when_a_worker_crashed_get_another_worker() -> None:
    async def scenario() -> None:
        engine, residency = FakeEngine(), residency_with()
        held = asyncio.Event()
        crashing = asyncio.create_task(_crash_later(residency, engine, held, "m"))
        await engine.starting.wait()
        waiting = asyncio.create_task(answer_once(residency, engine, "m"))
        await settle()
        held.set()
        with pytest.raises(WorkerCrashed):
            await crashing
        await waiting
        assert engine.started == ["m", "m"]
        await residency.close()

    run_in_virtual_time(scenario())


def test_after_repeated_crashes_a_load_waits_and_says_why_until_a_request_succeeds() -> None:
    async def scenario() -> None:
        engine, residency = FakeEngine(), residency_with()
        for _ in range(2):
            with pytest.raises(WorkerCrashed):
                await _crash(residency, engine, "m")
        third = asyncio.create_task(answer_once(residency, engine, "m"))
        await settle()
        assert len(engine.started) == 2
        assert residency.models[0].reason(next_to_go=False) == (
            "waits 1 s before it is loaded again: its worker crashed repeatedly"
        )
        began_s = asyncio.get_running_loop().time()
        await third
        assert asyncio.get_running_loop().time() - began_s == pytest.approx(1.0)
        with pytest.raises(WorkerCrashed):
            await _crash(residency, engine, "m")
        began_s = asyncio.get_running_loop().time()
        await answer_once(residency, engine, "m")  # the success in between was the end of the row
        assert asyncio.get_running_loop().time() == began_s
        await residency.close()

    run_in_virtual_time(scenario())


def test_a_model_in_use_is_unloaded_only_by_force_which_its_requests_are_told() -> None:
    async def scenario() -> None:
        engine, residency = FakeEngine(), residency_with()

        async def request() -> None:
            async with residency.use(engine.blueprint("m"), client="me"):
                running.set()
                await died.wait()
                raise WorkerCrashed("as the process says it")

        running, died = asyncio.Event(), asyncio.Event()
        task = asyncio.create_task(request())
        await running.wait()
        with pytest.raises(ModelInUse, match="it answers 1 request"):
            await residency.unload("m", force=False)
        assert await residency.unload("m", force=True) == 100 * MB
        died.set()
        with pytest.raises(Cancelled, match="unloaded by force"):
            await task
        assert await residency.unload("m", force=False) == 0
        await residency.close()

    run_in_virtual_time(scenario())


def test_closing_ends_loads_and_workers_and_fails_waiting_requests() -> None:
    async def scenario() -> None:
        loaded, residency = FakeEngine(), residency_with()
        await answer_once(residency, loaded, "loaded")
        loading = FakeEngine(gate=asyncio.Event())
        waiter = asyncio.create_task(answer_once(residency, loading, "loading"))
        await loading.starting.wait()
        await residency.close()
        assert loaded.workers[0].ended.is_set()
        assert loading.given_up == ["loading"]
        with pytest.raises(Cancelled, match="shutting down"):
            await waiter
        assert residency.used_bytes == 0

    run_in_virtual_time(scenario())


def test_closing_waits_for_the_worker_of_a_load_that_was_cancelled() -> None:
    async def scenario() -> None:
        engine = FakeEngine()
        residency = residency_with()
        starting, giving_up, reaped = asyncio.Event(), asyncio.Event(), asyncio.Event()

        async def start(on_exit: Callable[[], None]) -> FakeWorker:
            starting.set()
            try:
                await asyncio.Event().wait()
            finally:
                # A real load waits here for the end of its process.
                giving_up.set()
                await reaped.wait()
            raise AssertionError("it never loads")

        async def request() -> None:
            async with residency.use(replace(engine.blueprint("m"), start=start), client="me"):
                pass

        asked = asyncio.create_task(request())
        await starting.wait()
        asked.cancel()
        await giving_up.wait()
        closing = asyncio.create_task(residency.close())
        await asyncio.wait([closing], timeout=HOUR_S)
        assert not closing.done()
        reaped.set()
        async with asyncio.timeout(DEADLINE_S):
            await closing

    run_in_virtual_time(scenario())
