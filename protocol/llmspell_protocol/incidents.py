"""Defects by number: what a client is told of one, and what the log of the process that has it is told.

The number is the same wherever the defect is spoken of, so that it can be found in every log that it has passed.
"""

from __future__ import annotations

import os
import sys

from llmspell_protocol.errors import Internal


def incident_number() -> str:
    """A new number for a defect: eight hex digits."""
    return os.urandom(4).hex()


def as_incident(text: str, incident: str) -> Internal:
    """The error that clients get."""
    hint = f"the kernel's log has the details under incident {incident}"
    return Internal(text, hint=hint, details={"incident": incident})


def incident_in_worker(problem: BaseException, text: str) -> Internal:
    """The error for a defect in a worker process, whose log (standard error) gets the traceback."""
    # Only a defect needs it.
    import traceback

    incident = incident_number()
    print(f"incident {incident}: {text}", file=sys.stderr)  # noqa: T201 — this is the worker's log
    traceback.print_exception(problem, file=sys.stderr)
    return as_incident(text, incident)
