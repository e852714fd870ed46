"""A model in memory that is wanted on another device."""

from __future__ import annotations

import asyncio

import pytest

from llmspell_protocol.errors import ConfigError, ModelInUse
from llmspell_providers.residency.residency import Residency
from tests.support.fake_worker import MB, FakeEngine, FakeWorker
from tests.support.turns import settle


def _residency(budget: int = 1000 * MB) -> Residency[FakeWorker]:
    return Residency(memory_budget=budget, keep_alive_s=300.0, max_queue=100)


def test_an_idle_model_is_loaded_anew_on_the_device_that_is_wanted_pinned_and_kept_as_before() -> None:
    async def scenario() -> None:
        engine = FakeEngine()
        # Both do not fit at once: the new worker starts when the old one is gone.
        residency = _residency(budget=150 * MB)
        await residency.load(engine.blueprint("m"), keep_alive_s=60.0, pin=True)
        model = await residency.load(engine.blueprint("m", device="cuda:0"), keep_alive_s=None, pin=False)
        assert [worker.loaded.device for worker in engine.workers] == ["cpu", "cuda:0"]
        assert engine.workers[0].ended.is_set()
        assert (model.pinned, model.keep_alive_s, residency.get("m")) == (True, 60.0, model)
        await residency.close()

    asyncio.run(scenario())


def test_the_new_worker_starts_when_the_old_one_has_ended() -> None:
    async def scenario() -> None:
        engine = FakeEngine()
        residency = _residency()
        await residency.load(engine.blueprint("m"), keep_alive_s=None, pin=False)
        gate = engine.workers[0].end_gate = asyncio.Event()
        load = asyncio.create_task(residency.load(engine.blueprint("m", device="cuda:0"), keep_alive_s=None, pin=False))
        await settle()
        assert engine.started == ["m"]
        gate.set()
        await load
        assert engine.started == ["m", "m"]
        await residency.close()

    asyncio.run(scenario())


@pytest.mark.parametrize("device", [None, "cpu"])
def test_a_request_for_no_device_or_for_the_same_one_gets_the_model_that_is_there(device: str | None) -> None:
    async def scenario() -> None:
        engine = FakeEngine()
        residency = _residency()
        await residency.load(engine.blueprint("m", device="cpu"), keep_alive_s=None, pin=False)
        await residency.load(engine.blueprint("m", device=device), keep_alive_s=None, pin=False)
        assert engine.started == ["m"]
        await residency.close()

    asyncio.run(scenario())


def test_a_model_that_answers_is_not_moved_and_the_refusal_says_where_it_is() -> None:
    async def scenario() -> None:
        engine = FakeEngine()
        residency = _residency()
        async with residency.use(engine.blueprint("m"), client="me"):
            with pytest.raises(ModelInUse, match=r"wanted on cuda:0, but it is in use on cpu .answers 1 request"):
                await residency.load(engine.blueprint("m", device="cuda:0"), keep_alive_s=None, pin=False)
        assert not engine.workers[0].ended.is_set()
        await residency.close()

    asyncio.run(scenario())


def test_a_model_that_is_being_loaded_is_not_moved_either() -> None:
    async def scenario() -> None:
        engine = FakeEngine(gate=asyncio.Event())
        residency = _residency()
        first = asyncio.create_task(residency.load(engine.blueprint("m", device="cpu"), keep_alive_s=None, pin=False))
        await engine.starting.wait()
        with pytest.raises(ModelInUse, match=r"in use on cpu .loading for 1 request"):
            await residency.load(engine.blueprint("m", device="cuda:0"), keep_alive_s=None, pin=False)
        assert engine.gate is not None
        engine.gate.set()
        await first
        await residency.close()

    asyncio.run(scenario())


def test_a_device_that_cannot_be_had_fails_the_request_and_the_next_one_loads_the_model_as_usual() -> None:
    async def scenario() -> None:
        engine = FakeEngine()
        residency = _residency()
        await residency.load(engine.blueprint("m"), keep_alive_s=None, pin=False)
        engine.failures.append(ConfigError("the engine looked for cuda:0"))
        with pytest.raises(ConfigError, match="looked for cuda:0"):
            await residency.load(engine.blueprint("m", device="cuda:0"), keep_alive_s=None, pin=False)
        model = await residency.load(engine.blueprint("m"), keep_alive_s=None, pin=False)
        assert model.worker is not None
        assert model.worker.loaded.device == "cpu"
        await residency.close()

    asyncio.run(scenario())
