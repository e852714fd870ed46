"""What happens when models come to hold more memory than they may."""

from __future__ import annotations

import asyncio
import logging

import pytest

from llmspell_protocol.errors import OutOfMemory
from tests.support.fake_worker import MB, FakeEngine
from tests.support.residencies import answer_once, residency_with
from tests.support.turns import settle


def _said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def test_a_model_that_grew_beyond_the_budget_gives_back_what_it_keeps_and_that_is_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scenario() -> None:
        engine = FakeEngine()
        residency = residency_with(budget=250 * MB)
        async with residency.use(engine.blueprint("m"), client="me") as turn:
            turn.worker.loaded.memory_bytes, turn.worker.spare_bytes = 300 * MB, 180 * MB
            assert turn.worker.trims == 0
        await settle()
        (worker,) = engine.workers
        assert worker.trims == 1
        assert not worker.ended.is_set()
        assert residency.used_bytes == 120 * MB
        await residency.close()

    asyncio.run(scenario())
    (said,) = _said(caplog)
    assert said.startswith(
        "the models held 300 MB of the 250 MB that they may (models.memory_budget_bytes): 'm' gave back"
    )


def test_idle_models_go_when_that_is_not_enough_longest_unused_first(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        engine = FakeEngine()
        residency = residency_with(budget=350 * MB)
        for name in ("old", "new"):
            await answer_once(residency, engine, name)
        async with residency.use(engine.blueprint("m"), client="me") as turn:
            turn.worker.loaded.memory_bytes = 240 * MB
        await settle()
        assert [model.name for model in residency.models] == ["new", "m"]
        await residency.close()

    asyncio.run(scenario())
    (said,) = _said(caplog)
    assert said.startswith("old holds 100 MB and was unloaded: the models held 440 MB of the 350 MB")


def test_a_model_that_alone_is_too_large_goes_and_is_refused_the_next_time(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        engine = FakeEngine()
        residency = residency_with(budget=250 * MB)
        async with residency.use(engine.blueprint("m"), client="me") as turn:
            turn.worker.loaded.memory_bytes = 300 * MB
        await settle()
        assert residency.models == []
        assert engine.learned == [("m", 300 * MB)]
        with pytest.raises(OutOfMemory, match="'m' needs 300 MB, and models may use 250 MB"):
            await answer_once(residency, engine, "m", memory=300 * MB)
        await residency.close()

    asyncio.run(scenario())
    # That it was refused is told to the request that waited; a command with a kernel within shows warnings.
    (unloaded,) = _said(caplog)
    assert unloaded.startswith("m holds 300 MB and was unloaded")


@pytest.mark.parametrize("stays", ["pinned", "busy"])
def test_what_cannot_go_stays_and_that_is_told(stays: str, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        engine = FakeEngine()
        residency = residency_with(budget=250 * MB)
        model = await residency.load(engine.blueprint("m"), keep_alive_s=None, pin=stays == "pinned")
        engine.workers[0].loaded.memory_bytes = 300 * MB
        if stays == "pinned":
            await answer_once(residency, engine, "m")
            await settle()
        else:
            async with residency.use(engine.blueprint("m"), client="me"):
                await answer_once(residency, engine, "m")
                await settle()
        assert residency.get("m") is model or stays == "busy"
        await settle()
        await residency.close()

    asyncio.run(scenario())
    why = "pinned: stays until it is unloaded" if stays == "pinned" else "answers 1 request"
    assert any("none can be unloaded now" in line and f"'m' (300 MB, {why})" in line for line in _said(caplog))


def test_a_load_that_takes_more_than_the_budget_is_seen_at_once(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        engine = FakeEngine()
        residency = residency_with(budget=250 * MB)
        await answer_once(residency, engine, "old")
        blueprint = engine.blueprint("m")
        await residency.load(blueprint, keep_alive_s=None, pin=False)
        engine.workers[1].loaded.memory_bytes = 200 * MB
        await residency.load(blueprint, keep_alive_s=None, pin=False)
        await settle()
        assert [model.name for model in residency.models] == ["m"]
        await residency.close()

    asyncio.run(scenario())
    assert len(_said(caplog)) == 1


def test_within_the_budget_nobody_is_asked_for_anything(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        engine = FakeEngine()
        residency = residency_with(budget=250 * MB)
        for _ in range(3):
            await answer_once(residency, engine, "m")
            await answer_once(residency, engine, "n")
        assert [worker.trims for worker in engine.workers] == [0, 0]
        assert len(residency.models) == 2
        await residency.close()

    asyncio.run(scenario())
    assert _said(caplog) == []


def test_a_request_that_needs_more_memory_makes_room_for_it_once() -> None:
    async def scenario() -> None:
        engine = FakeEngine()
        residency = residency_with(budget=350 * MB)
        for name in ("old", "m"):
            await answer_once(residency, engine, name)
        async with residency.use(engine.blueprint("m", request=180 * MB), client="me"):
            assert [model.name for model in residency.models] == ["m"]
            assert engine.workers[0].ended.is_set()
        assert residency.models[0].budgeted_bytes == 280 * MB
        # The next one, and one that needs less, find it there.
        async with residency.use(engine.blueprint("m", request=180 * MB), client="me"):
            pass
        await answer_once(residency, engine, "m")
        assert residency.models[0].budgeted_bytes == 280 * MB
        assert engine.started == ["old", "m"]
        await residency.close()

    asyncio.run(scenario())


def test_a_request_that_needs_more_than_there_can_be_is_refused_with_the_numbers_and_the_model_stays() -> None:
    async def scenario() -> None:
        engine = FakeEngine()
        residency = residency_with(budget=250 * MB)
        await answer_once(residency, engine, "m")
        with pytest.raises(OutOfMemory) as caught:
            async with residency.use(engine.blueprint("m", request=200 * MB), client="me"):
                raise AssertionError("it was given a turn")
        assert caught.value.details["needed_bytes"] == 300 * MB
        assert caught.value.details["budget_bytes"] == 250 * MB
        await answer_once(residency, engine, "m")
        assert engine.started == ["m"]
        await residency.close()

    asyncio.run(scenario())
