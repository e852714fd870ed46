"""A residency with a small budget, and a request that uses one of its models for a moment."""

from __future__ import annotations

from llmspell_providers.residency.residency import Residency
from tests.support.fake_worker import MB, FakeEngine, FakeWorker


def residency_with(budget: int = 1000 * MB, keep_alive_s: float = 300.0) -> Residency[FakeWorker]:
    """An empty one; `budget` in bytes."""
    return Residency(memory_budget=budget, keep_alive_s=keep_alive_s, max_queue=100)


async def answer_once(
    residency: Residency[FakeWorker], engine: FakeEngine, name: str, *, memory: int = 100 * MB
) -> None:
    """Has a model loaded, if it isn't, and frees its slot at once."""
    async with residency.use(engine.blueprint(name, memory=memory), client="me"):
        pass
