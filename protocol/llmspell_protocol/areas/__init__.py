"""Our own requests, by area: everything that is declared about an action stands in one record (`action.Action`).

An area's module is imported by the first request of the area: the classes of a whole area take milliseconds to make,
and a kernel that runs a script needs none of them.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llmspell_protocol.areas.action import Action

AREAS = (
    "model",
    "agent",
    "tool",
    "workflow",
    "state",
    "event",
    "hook",
    "session",
    "artifact",
    "rag",
    "notebook",
    "kernel",
)
"""`<area>_request` is answered by `<area>_progress`, `_delta` and `_reply`; its actions are in the module `<area>`."""

AREA_OF = {f"{area}_request": area for area in AREAS}
"""The message types of our own requests and the area of each."""


@functools.cache
def actions(area: str) -> Mapping[str, Action]:
    """The actions of one of the `AREAS`, by name."""
    found: Mapping[str, Action] = import_module(f"{__name__}.{area}").ACTIONS
    return found
