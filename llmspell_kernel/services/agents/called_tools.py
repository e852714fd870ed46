"""The calls that a model asks for in one turn: done side by side, held to limits, listed with what came of them.

A call with wrong arguments goes back to the model once with the error; it is listed only where no better one follows.
Knows no model: replies come as `ToolCall`s, and go back as messages.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractContextManager, asynccontextmanager
from typing import Any, Protocol

from llmspell_kernel.services.agents.approval import Approval
from llmspell_kernel.services.agents.shortening import cut_to
from llmspell_kernel.services.agents.tool_names import OfferedTools
from llmspell_kernel.services.agents.toolbox import Toolbox
from llmspell_protocol.areas.agent import Limit
from llmspell_protocol.areas.tool import ToolInvokeReply
from llmspell_protocol.errors import (
    InvalidRequest,
    LlmspellError,
    SchemaViolation,
    ToolError,
    ToolNotFound,
)
from llmspell_protocol.models import CalledTool, ToolCall, ToolEvent
from llmspell_protocol.tools.description import ToolDescription

_UNREADABLE = "_text"
"""The one key of arguments that were no JSON object (`openai_chat.parse_arguments`)."""


LONGEST_TOLD = 1_000_000
"""Characters of a result that a model can be told: about the largest context that there is, held for a conversation."""


class Fits(Protocol):
    """Holds arguments to a tool's parameters."""

    async def __call__(self, text: str, schema: object) -> None:
        """Raises `SchemaViolation` where a JSON text does not fit a schema."""


class CalledTools:
    """All calls of one turn."""

    def __init__(
        self,
        offered: OfferedTools,
        toolbox: Toolbox,
        *,
        agent: str,
        most: int,
        waiting: Callable[[], AbstractContextManager[None]],
        fits: Fits,
        on_event: Callable[[ToolEvent], None],
    ) -> None:
        self._offered = offered
        self._toolbox = toolbox
        self._approval = Approval(toolbox, agent, self._asking)
        self._waiting = waiting
        self._question = asyncio.Lock()
        self._most = most
        self._fits = fits
        self._on_event = on_event
        self._made = 0
        self._listed: list[_Listed] = []
        self.all_failed = False
        """Whether no call of the last reply succeeded."""
        self.limit: Limit | None = None
        """The limit that a call has reached: the turn ends with it."""

    async def run(self, calls: Sequence[ToolCall]) -> list[str]:
        """Does the calls of one reply side by side; what the model is told of each, in their order."""
        entries = [_Listed(call, self._offered.find(call.name)) for call in calls]
        self._listed += entries
        allowed = max(0, self._most - self._made)
        self._made += min(len(entries), allowed)
        for entry in entries[allowed:]:
            self._reach("max_tool_calls")
            entry.fail(ToolError(f"not called: a turn may call tools {self._most} times (max_tool_calls)"))
        try:
            async with asyncio.TaskGroup() as group:
                for entry in entries[:allowed]:
                    group.create_task(self._do(entry))
        except ExceptionGroup as defects:
            raise defects.exceptions[0] from None
        self.all_failed = all(entry.error is not None for entry in entries)
        return [self._told(entry) for entry in entries]

    def listed(self, ended_by: str | None = None) -> list[CalledTool]:
        """The calls as the result of the turn has them; those that are still under way were ended with it."""
        for entry in self._listed:
            if not entry.ended:
                entry.fail(ToolError(f"ended with the turn ({ended_by})"))
        return [entry.record() for number, entry in enumerate(self._listed) if not self._was_put_right(number)]

    def _was_put_right(self, number: int) -> bool:
        """Whether the model has tried again after the first wrong arguments: the other call stands for both."""
        entry = self._listed[number]
        return entry.goes_back and any(one.name == entry.name for one in self._listed[number + 1 :])

    async def _do(self, entry: _Listed) -> None:
        call = entry.call
        self._on_event(ToolEvent(phase="started", id=call.id, name=entry.name, arguments=call.arguments))
        began = time.monotonic()
        try:
            reply = await self._invoked(entry)
        except InvalidRequest as error:
            entry.goes_back = not any(one.is_wrong and one.name == entry.name for one in self._listed)
            entry.is_wrong = True
            entry.fail(error)
        except LlmspellError as error:
            if error.details.get("limit") == "max_recursion_depth":
                self._reach("max_recursion_depth")
            entry.fail(error)
        else:
            entry.take(reply)
        entry.duration_ms = round((time.monotonic() - began) * 1000, 3)
        record = entry.record()
        self._on_event(
            ToolEvent(
                phase="ended",
                id=call.id,
                name=record.name,
                arguments=record.arguments,
                success=record.success,
                result=record.result,
                error=record.error,
                duration_ms=record.duration_ms,
            )
        )

    async def _invoked(self, entry: _Listed) -> ToolInvokeReply:
        tool, arguments = entry.tool, entry.call.arguments
        if tool is None:
            raise ToolNotFound(
                f"there is no tool '{entry.call.name:.100}'; there are: {', '.join(self._offered.names)}",
                details={"tool": entry.call.name[:100]},
            )
        if set(arguments) == {_UNREADABLE}:
            raise InvalidRequest("the arguments are no JSON object")

        async def do(toolbox: Toolbox, asked: Mapping[str, Any]) -> ToolInvokeReply:
            await self._demand_fit(tool, asked)
            await self._approval.demand(tool, asked)
            return await toolbox.invoke(tool, asked, asking=self._asking)

        return await self._toolbox.around(tool, arguments, do)

    @asynccontextmanager
    async def _asking(self) -> AsyncIterator[None]:
        """Around a question to a person: one at a time, while the clock of the turn stands."""
        async with self._question:
            with self._waiting():
                yield

    async def _demand_fit(self, tool: ToolDescription, arguments: Mapping[str, Any]) -> None:
        """Holds what a model gives to a script's function to its schema; others do this themselves."""
        if tool.source == "script" and tool.parameters.get("properties"):
            try:
                await self._fits(json.dumps(arguments, ensure_ascii=False), tool.parameters)
            except SchemaViolation as error:
                what = error.message.partition(": ")[2] or error.message
                raise InvalidRequest(f"wrong arguments at '{error.details.get('at') or '/'}': {what}") from None

    def _told(self, entry: _Listed) -> str:
        if entry.error is None:
            return entry.text
        if entry.goes_back:
            return f"Error: {entry.error}. Call the tool again with right arguments."
        return f"Error: {entry.error}"

    def _reach(self, limit: Limit) -> None:
        self.limit = self.limit or limit


class _Listed:
    """One call and what has come of it so far."""

    def __init__(self, call: ToolCall, tool: ToolDescription | None) -> None:
        self.call = call
        self.tool = tool
        self.name = call.name if tool is None else tool.name
        self.ended = False
        self.is_wrong = False
        self.goes_back = False
        self.text = ""
        self.result: Any = None
        self.error: str | None = None
        self.code: str | None = None
        self.duration_ms = 0.0

    def take(self, reply: ToolInvokeReply) -> None:
        """The call was done; the operation itself may have said no."""
        self.ended = True
        self.text, self.result = cut_to(reply.text, LONGEST_TOLD), reply.result
        if reply.error is not None:
            self.error, self.code = reply.error.message, reply.error.code

    def fail(self, error: LlmspellError) -> None:
        """The call was not done."""
        self.ended = True
        self.error = error.message if error.hint is None else f"{error.message} ({error.hint})"
        self.code = error.code

    def record(self) -> CalledTool:
        """The call as results have it."""
        return CalledTool(
            name=self.name,
            arguments=self.call.arguments,
            success=self.ended and self.error is None,
            result=self.result,
            error=self.error,
            code=self.code,
            duration_ms=self.duration_ms,
        )
