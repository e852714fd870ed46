"""Undoing finished steps when their workflow fails: the newest first, each that has a function for it."""

from __future__ import annotations

from llmspell_kernel.services.workflows.functions import Argument
from llmspell_kernel.services.workflows.place import Place, Undo
from llmspell_kernel.services.workflows.time_limits import time_limit
from llmspell_protocol.errors import Cancelled, LlmspellError, Timeout

LONGEST_S = 60.0
"""All in all; a workflow that failed must end."""


async def compensate(place: Place, undo: list[Undo]) -> None:
    """Calls the functions; one that fails keeps none of the others from being called, and is told with the result."""
    if not undo:
        return
    run, path = place.run, place.path
    names = [one.step.name for one in reversed(undo)]
    await run.watching.note("WorkflowRollback", path, {"workflow": place.definition.name, "steps": names})
    try:
        async with time_limit(LONGEST_S, "compensation"):
            while undo:
                await _undone(place, undo.pop())
    except Timeout as error:
        left = ", ".join(one.step.name for one in reversed(undo))
        run.warn(f"{error.message}" + (f"; not compensated: {left}" if left else ""))


async def _undone(place: Place, one: Undo) -> None:
    name = one.step.name
    try:
        await place.run.functions.call(
            one.step.callbacks["compensate"], place, Argument("context", one.context), step=name
        )
    except LlmspellError as error:
        if isinstance(error, Cancelled):
            raise
        place.run.warn(f"step '{name}': compensate failed: {error.message}")
        place.run.watching.tell("step_compensation_failed", (*place.path, name), step=name, error=error.message)
    else:
        place.run.watching.tell("step_compensated", (*place.path, name), step=name)
