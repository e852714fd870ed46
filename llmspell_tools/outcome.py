"""What a call of a tool gives: an outcome, or the operation's own no."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


class ToolFailure(Exception):
    """The operation itself said no: the call was right, and what it asked for can't be done.

    The call's outcome says `success: false` with `message` and `code`. Wrong parameters, missing permissions and time
    limits are errors of the protocol instead. `outcome` is what there is to show all the same.
    """

    def __init__(self, message: str, *, code: str = "tool_error", outcome: Outcome | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.outcome = outcome


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a call gave.

    `result` is the operation's result, in the shape that the tool documents; `output` its primary value, which the
    next step of a workflow gets. `text` is what a reader or a model is shown; None: the result as JSON. `message` is a
    sentence about what was done.
    """

    operation: str
    result: Any
    output: Any = None
    text: str | None = None
    message: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    media: Sequence[Mapping[str, Any]] = ()
    """`{type, format, base64, width?, height?}` each"""
    fields: Mapping[str, Any] = field(default_factory=dict)
    """What stands beside `result` in the envelope."""
