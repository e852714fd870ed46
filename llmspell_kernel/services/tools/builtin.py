"""The source of tools that run in tool workers: those that come with llmspell, and those of other packages."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from llmspell_kernel.identity import Caller
from llmspell_kernel.services.tools.invocation import Invocation, OnProgress
from llmspell_kernel.worker_pool import WorkerPool
from llmspell_protocol.areas.tool import ToolInvokeReply, ToolProblem
from llmspell_protocol.calls import EXITED, Call
from llmspell_protocol.errors import (
    Internal,
    InvalidRequest,
    OutOfMemory,
    Timeout,
    ToolError,
    WorkerCrashed,
    error_from_content,
)
from llmspell_protocol.exit_status import ending
from llmspell_protocol.frames import Frame, FrameTooLarge
from llmspell_protocol.tools.builtin import builtin_tools
from llmspell_protocol.tools.description import ToolDescription
from llmspell_protocol.worker_memory import TOOL_BYTES

_WORKER = "llmspell_tools.worker"
_LOG_NAME = "tools.log"
_GROUP = "llmspell.tools"
_LIST_WITHIN_S = 30.0


class WorkerTools:
    """Tools whose code is a Python package's; belongs to the loop. `size` calls run at the same time."""

    def __init__(self, log_directory: Path, *, size: int) -> None:
        self._size = size
        self._pool = WorkerPool(
            _WORKER, log_path=log_directory / _LOG_NAME, size=size, memory_bytes=TOOL_BYTES, kept=size
        )
        self._plugins: Sequence[ToolDescription] | None = None
        self.problems: Sequence[str] = ()
        """What is wrong with packages that bring tools."""

    @property
    def pids(self) -> Sequence[int]:
        """The workers' process ids."""
        return self._pool.pids

    def prepare(self) -> None:
        """Starts a worker ahead of a call."""
        self._pool.prepare()

    async def tools(self, caller: Caller) -> Sequence[ToolDescription]:
        """Those of this version, and of the packages that are installed beside it."""
        del caller
        if self._plugins is None:
            try:
                self._plugins = await self._plugin_tools()
            except (WorkerCrashed, OutOfMemory, Timeout, Internal) as error:
                # A package that can't even be looked at takes no other tools away, and is not looked at again.
                self._plugins = ()
                self.problems = (f"the tools of other packages are left out: {error.message}",)
        return (*builtin_tools().values(), *self._plugins)

    async def invoke(self, invocation: Invocation) -> ToolInvokeReply:
        """Does one call in a worker of its own for as long as it takes.

        Raises:
            InvalidRequest: the arguments are not the tool's, or fit no frame.
            Forbidden: the call would touch what it may not (`details{permission, name, setting}`).
            Timeout: it took longer than `timeout_s`; its worker was ended.
            OutOfMemory, WorkerCrashed: its worker ended.
        """
        tool = invocation.tool
        frame = await self._ask(
            "invoke",
            invocation.timeout_s,
            invocation.on_progress,
            f"tool '{tool.name}'",
            tool=tool.name,
            arguments=dict(invocation.arguments),
            permissions=asdict(invocation.permissions),
            tables={name: dict(table) for name, table in invocation.tables.items()},
        )
        return reply_of(tool.name, frame)

    async def close(self) -> None:
        """Ends the workers."""
        await self._pool.close()

    async def _plugin_tools(self) -> Sequence[ToolDescription]:
        # Most machines have none, and asking a worker takes a start of it.
        if not await asyncio.to_thread(entry_points, group=_GROUP):
            return ()
        frame = await self._ask("plugins", _LIST_WITHIN_S, _unheard, "the list of installed tools")
        self.problems = tuple(str(problem["message"]) for problem in frame["problems"])
        return tuple(ToolDescription.from_content(one) for one in frame["tools"])

    async def _ask(self, op: str, within_s: float, on_progress: OnProgress, what: str, **fields: Any) -> Frame:
        if self._pool.is_full:
            calls = "a call runs" if self._size == 1 else f"{self._size} calls run"
            on_progress(f"waits: {calls} already (tools.workers)", {})
        async with self._pool.lease() as lease:
            try:
                call = lease.calls.open(op, **fields)
            except FrameTooLarge:
                raise InvalidRequest(f"{what}: the arguments are too large") from None
            try:
                async with asyncio.timeout(within_s):
                    frame = await _last(call, on_progress)
            except TimeoutError:
                raise Timeout(
                    f"{what} timed out after {within_s:g}s, and was ended",
                    hint="give it more time (--timeout), or less to do",
                    details={"timeout_s": within_s},
                ) from None
            if frame["op"] == EXITED:
                raise _ended(what, frame["status"])
            if frame["spent"]:
                lease.spoil()  # It ends by itself, and must not be asked again meanwhile.
            if frame["op"] == "error":
                error = error_from_content(frame["error"])
                if isinstance(error, OutOfMemory):
                    lease.spoil()  # What it holds by then is given back by its end alone.
                raise error
            return frame


async def _last(call: Call, on_progress: OnProgress) -> Frame:
    while (frame := await call.next())["op"] == "progress":
        on_progress(frame["message"], frame["figures"])
    return frame


def _ended(what: str, status: int) -> WorkerCrashed:
    return WorkerCrashed(
        f"the process of {what} ended {ending(status)}",
        hint=f"its log has more: {_LOG_NAME}; the next call is done by another process",
        details={"exit_status": status},
        retryable=False,
    )


def reply_of(name: str, frame: Frame) -> ToolInvokeReply:
    """The reply that a worker's last frame of a call stands for."""
    outcome, error = frame["outcome"], frame["error"]
    text = outcome["text"]
    if text is None:
        text = shown(outcome["result"]) if error is None else error["message"]
    try:
        return ToolInvokeReply(
            tool=name,
            operation=outcome["operation"],
            success=error is None,
            result=outcome["result"],
            output=outcome["result"] if outcome["output"] is None else outcome["output"],
            text=text,
            message=outcome["message"] if error is None else error["message"],
            error=None if error is None else ToolProblem(**error),
            metadata=outcome["metadata"],
            media=outcome["media"],
            fields=outcome["fields"],
            duration_ms=frame["duration_ms"],
        )
    except (KeyError, TypeError) as problem:
        raise ToolError(f"tool '{name}' gave what is no outcome: {problem}") from None


def shown(value: Any) -> str:
    """A result as text: a text as it is, everything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _unheard(_message: str, _figures: Mapping[str, Any]) -> None:
    """The list of tools tells no progress."""
