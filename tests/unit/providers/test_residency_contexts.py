"""A model in memory that is wanted with another context."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from llmspell_protocol.errors import ModelInUse
from llmspell_providers.residency.resident import Blueprint
from tests.support.fake_worker import FakeEngine
from tests.support.residencies import residency_with


def _blueprint(engine: FakeEngine, size: int, wish: Any) -> Blueprint[Any]:
    return replace(engine.blueprint("m"), context_size=size, context_wish=wish)


@pytest.mark.parametrize(
    ("wanted", "wish", "loads"),
    [(2048, "at_least", 2), (1024, "at_least", 1), (512, "at_least", 1), (512, "exactly", 2), (1024, "exactly", 1)],
)
def test_an_idle_model_is_loaded_anew_where_its_context_does_not_suit(wanted: int, wish: str, loads: int) -> None:
    async def scenario() -> None:
        engine = FakeEngine()
        residency = residency_with()
        await residency.load(_blueprint(engine, 1024, "any"), keep_alive_s=None, pin=True)
        for _ in range(2):
            model = await residency.load(_blueprint(engine, wanted, wish), keep_alive_s=None, pin=False)
        assert (len(engine.started), model.pinned) == (loads, True)
        # Who has no wish takes it as it is.
        await residency.load(_blueprint(engine, 9999, "any"), keep_alive_s=None, pin=False)
        assert len(engine.started) == loads
        await residency.close()

    asyncio.run(scenario())


def test_a_model_that_answers_goes_on_and_the_refusal_says_both_contexts() -> None:
    async def scenario() -> None:
        engine = FakeEngine()
        residency = residency_with()
        async with residency.use(_blueprint(engine, 1024, "any"), client="me"):
            with pytest.raises(ModelInUse) as caught:
                await residency.load(_blueprint(engine, 2048, "at_least"), keep_alive_s=None, pin=False)
        assert caught.value.message == (
            "Model 'm' is wanted with a context of 2048 tokens, but it is in use on cpu with a context of 1024 tokens "
            "(answers 1 request)"
        )
        assert caught.value.hint == "wait until it is done, or ask without num_ctx"
        assert not engine.workers[0].ended.is_set()
        await residency.close()

    asyncio.run(scenario())
