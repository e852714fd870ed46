"""A model in memory as `model ps` shows it. Decides nothing."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from llmspell_protocol.models import LoadedModel
from llmspell_providers.residency.pressure import megabytes

if TYPE_CHECKING:
    from llmspell_providers.candle.process import ModelProcess
    from llmspell_providers.residency.resident import Resident

_UNREMARKABLE = 0.1
"""The part of a model's expected memory by which it may be more."""


def loaded_model(model: Resident[ModelProcess], *, backend: str, device: str, next_to_go: bool) -> LoadedModel:
    """One line; `device` is the one of the settings, for a model that is still being loaded."""
    worker = model.worker
    return LoadedModel(
        model=model.name.removesuffix(f"@{backend}"),
        backend=backend,
        engine=worker.loaded.engine if worker else model.blueprint.engine,
        pid=worker.pid if worker else None,
        device=model.device or device,
        memory_bytes=model.memory_bytes if worker else None,
        estimated_bytes=model.blueprint.estimated_bytes,
        slots=worker.loaded.slots if worker else model.blueprint.slots,
        busy_slots=model.queue.running,
        queue=model.queue.waiting,
        last_used=_iso(model.last_used),
        expires_at=_iso(model.expires_at),
        pinned=model.pinned,
        load_ms=model.load_ms,
        reason=model.reason(next_to_go=next_to_go),
        context_size=worker.loaded.context_size if worker else model.blueprint.context_size,
        context_reason=model.blueprint.context_reason,
        warnings=_remarks(model),
        speculation=worker.loaded.speculation if worker else None,
        draft_tokens=worker.draft_tokens if worker and worker.speculates else None,
        accepted_tokens=worker.accepted_tokens if worker and worker.speculates else None,
    )


def _remarks(model: Resident[ModelProcess]) -> tuple[str, ...]:
    """What was to be said at the load, and whether it has come to hold more than was expected."""
    said = tuple(model.worker.loaded.warnings) if model.worker else ()
    surplus, expected = model.surplus_bytes, model.expected_bytes
    if surplus <= _UNREMARKABLE * expected:
        return said
    return (*said, f"holds {megabytes(surplus)} more than the {megabytes(expected)} that it was expected to need")


def _iso(time_: datetime | None) -> str | None:
    return None if time_ is None else time_.isoformat(timespec="milliseconds").replace("+00:00", "Z")
