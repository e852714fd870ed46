"""What is done when models hold more memory than they may, after a request has shown it: give back, unload, tell.

A worker's memory follows its estimate where that is right. Where it is not (an architecture that was not measured,
an engine that keeps what it should have freed) the budget still holds: first the models that hold more than was
expected give back what they keep for later turns, then idle ones go, and what is left is said.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Protocol

from llmspell_protocol.errors import LlmspellError
from llmspell_providers.residency.resident import Resident, W

_log = logging.getLogger(__name__)


class Holders(Protocol[W]):
    """What is looked at and changed; `residency.Residency` is one."""

    @property
    def models(self) -> list[Resident[W]]:
        """Everything loaded or loading, longest unused first."""

    @property
    def used_bytes(self) -> int:
        """What all workers hold now."""

    def budget_bytes(self) -> int:
        """What all loaded models may hold together."""


async def relieve(holders: Holders[W], end: Callable[[Resident[W], str], asyncio.Task[None]]) -> None:
    """Brings the models back within their budget as far as can be; `end` unloads one.

    A model that had to go takes the memory that it came to hold as its estimate for the next time.
    """
    budget = holders.budget_bytes()
    before = holders.used_bytes
    if before <= budget:
        return
    trimmed = await _trim(holders, budget)
    while holders.used_bytes > budget:
        victim = next((model for model in holders.models if model.evictable), None)
        if victim is None:
            break
        held = victim.memory_bytes
        if victim.surplus_bytes:
            victim.blueprint.learn(held - victim.request_bytes)
        _log.warning(
            "%s holds %s and was unloaded: the models held %s of the %s that they may (models.memory_budget_bytes)",
            *(victim.name, megabytes(held), megabytes(before), megabytes(budget)),
        )
        await asyncio.wait([end(victim, "the models held more memory than they may")])
    after = holders.used_bytes
    if after > budget:
        staying = ", ".join(f"'{model.name}' ({_why(model)})" for model in holders.models if model.worker is not None)
        _log.warning(
            "the models hold %s of the %s that they may (models.memory_budget_bytes), and none can be unloaded now: %s",
            *(megabytes(after), megabytes(budget), staying),
        )
    elif trimmed:
        _log.warning(
            "the models held %s of the %s that they may (models.memory_budget_bytes): %s gave back what was kept for "
            "later turns, which are read anew",
            *(megabytes(before), megabytes(budget), ", ".join(f"'{name}'" for name in trimmed)),
        )


async def _trim(holders: Holders[W], budget: int) -> Sequence[str]:
    """Has models give back what they keep, those first that hold most beyond what was expected; returns which did."""
    trimmed: list[str] = []
    for model in sorted(holders.models, key=lambda one: one.surplus_bytes, reverse=True):
        if holders.used_bytes <= budget:
            break
        worker = model.worker
        if worker is None:
            continue
        held = model.memory_bytes
        try:
            await worker.trim()
        except LlmspellError as error:
            # It ended meanwhile, or its engine cannot: the next step finds out.
            _log.info("%s gave nothing back: %s", model.name, error.message)
            continue
        if model.memory_bytes < held:
            trimmed.append(model.name)
    return trimmed


def _why(model: Resident[W]) -> str:
    return f"{megabytes(model.memory_bytes)}, {model.reason(next_to_go=False)}"


def megabytes(size: int) -> str:
    """A size as people read it."""
    return f"{size / 1e6:,.0f} MB"
