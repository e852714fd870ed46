"""Whether a model fits beside others, which of them would have to go, and the error when none of that is enough."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from llmspell_protocol.errors import ModelInUse, OutOfMemory
from llmspell_providers.residency.pressure import megabytes
from llmspell_providers.residency.resident import Blueprint, Resident, W


class Room(NamedTuple):
    """Bytes that a model may take: beside all others, and beside those that can't be unloaded for it."""

    free: int
    after_evictions: int


def room_beside(budget: int, others: Sequence[Resident[W]]) -> Room:
    """What a budget leaves; `others` is everything that holds memory."""
    staying = sum(other.budgeted_bytes for other in others if not other.evictable)
    return Room(budget - sum(other.budgeted_bytes for other in others), budget - staying)


def victims_for(needed: int, budget: int, others: Sequence[Resident[W]]) -> list[Resident[W]] | None:
    """The fewest models, longest unused first, without which `needed` bytes fit; None when no choice is enough.

    `others` is everything that holds memory, longest unused first.
    """
    free = budget - sum(other.budgeted_bytes for other in others)
    victims: list[Resident[W]] = []
    for other in others:
        if needed <= free:
            break
        if other.evictable:
            victims.append(other)
            free += other.budgeted_bytes
    return victims if needed <= free else None


def out_of_memory(name: str, needed: int, budget: int, others: Sequence[Resident[W]]) -> OutOfMemory:
    """The error for a model that does not fit, with what holds the memory."""
    held = [
        {
            "model": other.name,
            "bytes": other.budgeted_bytes,
            "pinned": other.pinned,
            "reason": other.reason(next_to_go=False),
        }
        for other in others
    ]
    staying = [other for other in others if not other.evictable]
    message = f"'{name}' needs {megabytes(needed)}, and models may use {megabytes(budget)}"
    if staying:
        names = ", ".join(f"'{other.name}' ({megabytes(other.budgeted_bytes)})" for other in staying)
        message += f", of which {names} cannot be unloaded now"
    return OutOfMemory(
        message,
        hint="llmspell model ps; a smaller providers.candle.context_size or max_concurrent needs less, and "
        "models.memory_budget_bytes sets the limit",
        details={"model": name, "needed_bytes": needed, "budget_bytes": budget, "held": held},
        retryable=any(other.users for other in staying) and needed <= budget,
    )


def wanted_otherwise(model: Resident[W], wanted: Blueprint[W]) -> ModelInUse:
    """The error for a model that answers now, and runs otherwise than a request wants."""
    where = model.device or "the device of the settings"
    drafting = f" with speculation {model.speculation or 'as the settings say'}" if wanted.speculation else ""
    context = f" with a context of {model.blueprint.context_size} tokens" if wanted.context_wish != "any" else ""
    return ModelInUse(
        f"Model '{model.name}' is wanted {wanted.wish}, but it is in use on {where}{drafting}{context} "
        f"({model.reason(next_to_go=False)})",
        hint=f"wait until it is done, or ask without {wanted.wished}",
        details={
            "model": model.name,
            "requests": model.users,
            "device": where,
            "wanted": wanted.device,
            "speculation": model.speculation,
            "wanted_speculation": wanted.speculation,
            "context_size": model.blueprint.context_size,
            "wanted_context_size": wanted.context_size if wanted.context_wish != "any" else None,
        },
    )
