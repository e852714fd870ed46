"""A model in memory that is wanted to draft otherwise."""

from __future__ import annotations

import asyncio

import pytest

from llmspell_protocol.errors import ModelInUse
from tests.support.fake_worker import FakeEngine
from tests.support.residencies import residency_with


def test_an_idle_model_is_loaded_anew_to_draft_as_is_wanted_and_once() -> None:
    async def scenario() -> None:
        engine = FakeEngine()
        residency = residency_with()
        await residency.load(engine.blueprint("m"), keep_alive_s=60.0, pin=True)
        for _ in range(2):
            model = await residency.load(engine.blueprint("m", speculation="ngram"), keep_alive_s=None, pin=False)
        assert [worker.loaded.speculation for worker in engine.workers] == ["off", "ngram"]
        assert engine.workers[0].ended.is_set()
        assert (model.pinned, model.keep_alive_s) == (True, 60.0)
        # Who has no wish takes it as it is.
        await residency.load(engine.blueprint("m"), keep_alive_s=None, pin=False)
        assert engine.started == ["m", "m"]
        await residency.close()

    asyncio.run(scenario())


def test_a_model_that_answers_goes_on_and_the_refusal_says_how_it_drafts() -> None:
    async def scenario() -> None:
        engine = FakeEngine()
        residency = residency_with()
        async with residency.use(engine.blueprint("m"), client="me"):
            with pytest.raises(ModelInUse) as caught:
                await residency.load(engine.blueprint("m", speculation="ngram"), keep_alive_s=None, pin=False)
        assert caught.value.message == (
            "Model 'm' is wanted with speculation ngram, but it is in use on cpu with speculation off "
            "(answers 1 request)"
        )
        assert caught.value.details["speculation"] == "off"
        assert not engine.workers[0].ended.is_set()
        await residency.close()

    asyncio.run(scenario())


def test_device_and_drafts_are_wanted_together() -> None:
    async def scenario() -> None:
        engine = FakeEngine()
        residency = residency_with()
        both = engine.blueprint("m", device="cuda:0", speculation="ngram")
        assert both.wish == "on cuda:0 and with speculation ngram"
        for blueprint in (engine.blueprint("m", device="cuda:0"), both, both):
            await residency.load(blueprint, keep_alive_s=None, pin=False)
        loaded = [(worker.loaded.device, worker.loaded.speculation) for worker in engine.workers]
        assert loaded == [("cuda:0", "off"), ("cuda:0", "ngram")]
        await residency.close()

    asyncio.run(scenario())
