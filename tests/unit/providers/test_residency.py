"""Which models are in memory, and why."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from llmspell_protocol.errors import Cancelled, ModelInUse, ModelLoadFailed, OutOfMemory, WorkerCrashed
from llmspell_providers.residency.residency import Residency
from tests.support.fake_worker import MB, FakeEngine, FakeWorker
from tests.support.turns import settle
from tests.support.virtual_time import run_in_virtual_time

DEADLINE_S = 5.0
HOUR_S = 3600.0


def _residency(budget: int = 1000 * MB, keep_alive_s: float = 300.0) -> Residency[FakeWorker]:
    return Residency(memory_budget=budget, keep_alive_s=keep_alive_s, max_queue=100)


async def _answer(residency: Residency[FakeWorker], engine: FakeEngine, name: str, *, memory: int = 100 * MB) -> None:
    async with residency.use(engine.blueprint(name, memory=memory), client="me"):
        pass


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


async def _gone(worker: FakeWorker) -> None:
    async with asyncio.timeout(DEADLINE_S):
        await worker.ended.wait()


def test_requests_for_one_model_load_it_once() -> None:
    async def scenario() -> None:
        engine = FakeEngine(gate=asyncio.Event())
        residency = _residency()
        requests = [asyncio.create_task(_answer(residency, engine, "m")) for _ in range(5)]
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
        residency = _residency()
        leaves, stays = (asyncio.create_task(_answer(residency, engine, "m")) for _ in range(2))
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
        residency = _residency()
        waiters = [asyncio.create_task(_answer(residency, engine, "m")) for _ in range(2)]
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
        residency = _residency()
        first = asyncio.create_task(_answer(residency, engine, "m"))
        await engine.starting.wait()
        first.cancel()
        second = asyncio.create_task(_answer(residency, engine, "m"))
        await asyncio.wait([first])
        assert engine.gate is not None
        engine.gate.set()
        async with asyncio.timeout(DEADLINE_S):
            await second
        await residency.close()

    run_in_virtual_time(scenario())


def test_the_longest_unused_model_goes_when_another_needs_its_memory() -> None:
    async def scenario() -> None:
        engine, residency = FakeEngine(), _residency(budget=250 * MB)
        await _answer(residency, engine, "old")
        await _answer(residency, engine, "young")
        await _answer(residency, engine, "old")  # now young is the longest unused
        assert residency.next_to_go() is residency.get("young")
        await _answer(residency, engine, "new")
        assert sorted(model.name for model in residency.models) == ["new", "old"]
        assert [worker.name for worker in engine.workers if worker.ended.is_set()] == ["young"]
        await residency.close()

    run_in_virtual_time(scenario())


def test_a_model_that_was_evicted_is_loaded_again_when_asked_for() -> None:
    async def scenario() -> None:
        engine, residency = FakeEngine(), _residency(budget=150 * MB)
        for name in ("a", "b", "a"):
            await _answer(residency, engine, name)
        assert engine.started == ["a", "b", "a"]
        assert [model.name for model in residency.models] == ["a"]
        await residency.close()

    run_in_virtual_time(scenario())


def test_pinned_and_busy_models_stay_and_the_refusal_says_who_holds_what() -> None:
    async def scenario() -> None:
        engine, residency = FakeEngine(), _residency(budget=250 * MB)
        await residency.load(engine.blueprint("pinned"), keep_alive_s=None, pin=True)
        async with residency.use(engine.blueprint("busy"), client="me"):
            with pytest.raises(OutOfMemory) as caught:
                await _answer(residency, engine, "third")
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


def test_a_model_larger_than_the_budget_is_refused_for_good_and_evicts_no_other() -> None:
    async def scenario() -> None:
        engine, residency = FakeEngine(), _residency(budget=150 * MB)
        await _answer(residency, engine, "small")
        with pytest.raises(OutOfMemory) as caught:
            await _answer(residency, engine, "huge", memory=200 * MB)
        assert not caught.value.retryable
        assert [model.name for model in residency.models] == ["small"]
        await residency.close()

    run_in_virtual_time(scenario())


def test_what_a_model_may_grow_by_counts_against_the_budget() -> None:
    async def scenario() -> None:
        engine, residency = FakeEngine(), _residency(budget=250 * MB)
        await residency.load(engine.blueprint("a", growth=100 * MB), keep_alive_s=None, pin=True)
        with pytest.raises(OutOfMemory):
            await _answer(residency, engine, "b")
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
        await _answer(residency, engine, "m")
        free = 900 * MB  # the model's 100 MB are gone from it
        assert residency.budget_bytes() == 800 * MB
        free = 400 * MB  # another program has come
        assert residency.budget_bytes() == 400 * MB
        await residency.close()

    run_in_virtual_time(scenario())


def test_an_idle_model_goes_when_its_keep_alive_is_over() -> None:
    async def scenario() -> None:
        engine, residency = FakeEngine(), _residency(keep_alive_s=300.0)
        await _answer(residency, engine, "m")
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
        engine, residency = FakeEngine(), _residency(keep_alive_s=0.0)
        async with residency.use(engine.blueprint("m"), client="me"):
            await settle()
            assert not engine.workers[0].ended.is_set()
            assert residency.models[0].expires_at is None
        await _gone(engine.workers[0])
        await residency.close()

    run_in_virtual_time(scenario())


def test_keep_alive_minus_one_and_pins_have_no_timer_and_say_so() -> None:
    async def scenario() -> None:
        engine, residency = FakeEngine(), _residency(keep_alive_s=0.0)
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
        engine, residency = FakeEngine(), _residency(keep_alive_s=-1.0)
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
        engine, residency = FakeEngine(), _residency()
        async with residency.use(engine.blueprint("m"), client="me"):
            residency.reconfigure(keep_alive_s=0.0, max_queue=3)
            await settle()
            assert [model.name for model in residency.models] == ["m"]
        await _gone(engine.workers[0])
        await residency.close()

    run_in_virtual_time(scenario())


def test_a_model_that_is_no_longer_pinned_goes_after_its_keep_alive() -> None:
    async def scenario() -> None:
        engine, residency = FakeEngine(), _residency(keep_alive_s=0.0)
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
        engine, residency = FakeEngine(), _residency()
        model = await residency.load(engine.blueprint("m"), keep_alive_s=keep_alive_s, pin=False)
        await settle()
        assert model.expires_at is None
        assert model.reason(next_to_go=False) == "idle, stays until it is unloaded"
        await residency.close()

    run_in_virtual_time(scenario())


def test_reasons_say_what_is_answered_and_when_a_model_goes() -> None:
    async def scenario() -> None:
        engine, residency = FakeEngine(), _residency(keep_alive_s=272.0)
        model = await residency.load(engine.blueprint("m", slots=1), keep_alive_s=None, pin=False)
        assert (
            model.reason(next_to_go=True) == "idle, goes in 4m 32s; the first to go if another model needs the memory"
        )
        async with residency.use(engine.blueprint("m", slots=1), client="me"):
            waiting = asyncio.create_task(_answer(residency, engine, "m"))
            await settle()
            assert model.reason(next_to_go=False) == "answers 1 request, 1 waiting"
        await waiting
        await residency.close()

    run_in_virtual_time(scenario())


def test_a_failed_load_fails_every_waiter_and_is_forgotten() -> None:
    async def scenario() -> None:
        engine = FakeEngine(gate=asyncio.Event(), failures=[ModelLoadFailed("no GGUF")])
        residency = _residency()
        waiters = [asyncio.create_task(_answer(residency, engine, "m")) for _ in range(3)]
        load = asyncio.create_task(residency.load(engine.blueprint("m"), keep_alive_s=None, pin=False))
        await engine.starting.wait()
        assert engine.gate is not None
        engine.gate.set()
        outcomes = await asyncio.gather(*waiters, load, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [ModelLoadFailed] * 4
        assert residency.models == []
        await _answer(residency, engine, "m")
        await residency.close()

    run_in_virtual_time(scenario())


def test_a_crash_forgets_the_model_and_the_next_request_loads_it_again() -> None:
    async def scenario() -> None:
        engine, residency = FakeEngine(), _residency()
        with pytest.raises(WorkerCrashed):
            await _crash(residency, engine, "m")
        assert residency.models == []
        await _answer(residency, engine, "m")
        assert engine.started == ["m", "m"]
        await residency.close()

    run_in_virtual_time(scenario())


def test_those_whose_turn_had_not_come_when_a_worker_crashed_get_another_worker() -> None:
    async def scenario() -> None:
        engine, residency = FakeEngine(), _residency()
        held = asyncio.Event()
        crashing = asyncio.create_task(_crash_later(residency, engine, held, "m"))
        await engine.starting.wait()
        waiting = asyncio.create_task(_answer(residency, engine, "m"))
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
        engine, residency = FakeEngine(), _residency()
        for _ in range(2):
            with pytest.raises(WorkerCrashed):
                await _crash(residency, engine, "m")
        third = asyncio.create_task(_answer(residency, engine, "m"))
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
        await _answer(residency, engine, "m")  # the success in between was the end of the row
        assert asyncio.get_running_loop().time() == began_s
        await residency.close()

    run_in_virtual_time(scenario())


def test_a_model_in_use_is_unloaded_only_by_force_which_its_requests_are_told() -> None:
    async def scenario() -> None:
        engine, residency = FakeEngine(), _residency()

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
        loaded, residency = FakeEngine(), _residency()
        await _answer(residency, loaded, "loaded")
        loading = FakeEngine(gate=asyncio.Event())
        waiter = asyncio.create_task(_answer(residency, loading, "loading"))
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
        residency = _residency()
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


def test_a_turn_tells_how_long_was_waited_for_the_load_and_how_long_for_a_slot() -> None:
    async def scenario() -> None:
        engine, residency = FakeEngine(), _residency()

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
