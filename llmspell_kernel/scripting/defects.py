"""What goes wrong while the kernel does something for a script: an error that the script or its request can have."""

from __future__ import annotations

import logging
from collections.abc import Callable

from llmspell_protocol.errors import LlmspellError
from llmspell_protocol.incidents import as_incident, incident_number

log = logging.getLogger(__name__)


def error_of(problem: Exception, what: str) -> LlmspellError:
    """An error as it is; for a defect that of an incident, whose traceback the log has. `what` was being done."""
    if isinstance(problem, LlmspellError):
        return problem
    incident = incident_number()
    log.error("incident %s in %s", incident, what, exc_info=problem)
    return as_incident(f"internal error in {what}", incident)


def do_each(what: str, *steps: Callable[[], None]) -> None:
    """Takes every step, whatever becomes of those before it: a defect in one is an incident in the log."""
    for step in steps:
        try:
            step()
        except Exception as problem:  # noqa: BLE001 — its traceback is logged with the incident
            error_of(problem, what)
