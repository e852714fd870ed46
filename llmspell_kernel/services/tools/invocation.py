"""One call of a tool on its way to where it is done, and what came of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from llmspell_kernel.identity import Caller
from llmspell_kernel.request import Request
from llmspell_protocol.areas.tool import ToolInvokeReply, ToolProblem
from llmspell_protocol.errors import InvalidRequest
from llmspell_protocol.tools.description import ToolDescription
from llmspell_protocol.tools.permissions import Permissions

LONGEST_NAME = 100

OnProgress = Callable[[str, Mapping[str, Any]], None]
"""Gets how far a call is: `(message, figures)`."""


def progress_of(request: Request) -> OnProgress:
    """Sends how far a call is as the request's progress."""

    def on_progress(message: str, figures: Mapping[str, Any]) -> None:
        request.progress({"message": message, "figures": dict(figures)})

    return on_progress


@dataclass(frozen=True, kw_only=True)
class Invocation:
    """One call. `request` is the one that it is made for: what it asks for in turn are children of it."""

    request: Request
    tool: ToolDescription
    arguments: Mapping[str, Any]
    permissions: Permissions
    tables: Mapping[str, Mapping[str, Any]]
    """The tables of `[tools]` that the tool reads, by name."""
    timeout_s: float
    on_progress: OnProgress


def demand_name(name: str) -> None:
    """Raises `InvalidRequest` where a text can't be the name of a new tool."""
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        raise InvalidRequest(f"a tool's name has 1 to {LONGEST_NAME} printable characters")


def plain_reply(
    tool: str, *, result: Any, output: Any, text: str, problem: ToolProblem | None, began: float
) -> ToolInvokeReply:
    """The reply of a tool that knows a result and no more; `problem` is its no, `began` of `time.monotonic`."""
    return ToolInvokeReply(
        tool=tool,
        operation="",
        success=problem is None,
        result=result,
        output=output,
        text=text if problem is None else problem.message,
        message="" if problem is None else problem.message,
        error=problem,
        metadata={},
        media=(),
        fields={},
        duration_ms=round((time.monotonic() - began) * 1000, 3),
    )


def replied(content: Mapping[str, Any]) -> ToolInvokeReply:
    """The reply that a record has."""
    # Only a replay needs it.
    from llmspell_kernel.validate import restored

    reply: ToolInvokeReply = restored(content, ToolInvokeReply)
    return reply


class ToolSource(Protocol):
    """Where tools come from. `caller` is the script or client that asks: some tools are its own."""

    async def tools(self, caller: Caller) -> Sequence[ToolDescription]:
        """The tools of this source.

        Raises:
            LlmspellError: the source can't be asked now; the others can.
        """

    async def invoke(self, invocation: Invocation) -> ToolInvokeReply:
        """Does one call of one of this source's tools. Cancelling the call ends the work.

        Raises:
            LlmspellError: as the tool says.
        """
