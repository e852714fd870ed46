"""What the kernel's log tells of models in memory: one line an event, in words for people. No prompts, no replies."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from llmspell_protocol.durations import duration_text
from llmspell_protocol.errors import LlmspellError
from llmspell_providers.residency.pressure import megabytes

if TYPE_CHECKING:
    from llmspell_providers.residency.resident import Resident, W

_log = logging.getLogger(__name__)


def loaded(model: Resident[W]) -> None:
    """A load is done."""
    worker = model.worker
    assert worker is not None
    state = worker.loaded
    _log.info(
        "loaded %s: %s on %s by %s in %.2f s; %d slots, context of %d tokens%s; PID %s",
        *(model.name, megabytes(model.memory_bytes), state.device, state.engine, (model.load_ms or 0.0) / 1000),
        *(state.slots, model.blueprint.context_size, _because(model.blueprint.context_reason)),
        ", ".join(map(str, worker.pids)),
    )


def not_loaded(model: Resident[W], error: BaseException) -> None:
    """A load has failed; where requests wait for it, the error is told to them."""
    why = f"{error.code}: {error.message}" if isinstance(error, LlmspellError) else f"{type(error).__name__}: {error}"
    level = logging.INFO if model.users else logging.WARNING
    _log.log(level, "%s was not loaded: %s", model.name, " ".join(why.split()))


def given_up(model: Resident[W]) -> None:
    """A load was cancelled."""
    _log.info("%s is not loaded: no request waits for it any more", model.name)


def leaves(model: Resident[W], reason: str) -> None:
    """A model goes, loaded or not."""
    if model.worker is None:
        _log.info("%s is not loaded: %s", model.name, reason)
    else:
        _log.info("unloads %s (%s): %s", model.name, megabytes(model.memory_bytes), reason)


def backs_off(model: Resident[W]) -> None:
    """A model has crashed more than once."""
    wait = duration_text(model.backs_off_s)
    _log.warning("%s is loaded again in %s: its worker has crashed repeatedly", model.name, wait)


def _because(reason: str) -> str:
    return f" ({reason})" if reason else ""
