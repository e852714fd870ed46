"""One MCP server: its worker process, started when it is needed, and again, with growing pauses, after it has ended."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmspell_kernel.process_tree import kill_tree
from llmspell_kernel.services.tools.invocation import OnProgress
from llmspell_protocol.background import of_no_request
from llmspell_protocol.calls import EXITED, Call, Calls
from llmspell_protocol.child import Child
from llmspell_protocol.errors import (
    Internal,
    InvalidRequest,
    LlmspellError,
    Timeout,
    Unavailable,
    WorkerCrashed,
    error_from_content,
)
from llmspell_protocol.exit_status import ending
from llmspell_protocol.frames import Frame, FrameTooLarge
from llmspell_protocol.worker_memory import TOOL_BYTES

if TYPE_CHECKING:
    from llmspell_profiles.schema.mcp import McpServer

log = logging.getLogger(__name__)

_WORKER = "llmspell_tools.mcp.worker"
_STEADY_S = 30.0
"""A server that ran for so long starts again as if it had never ended."""
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 60.0
_LIST_WAITS_S = 1.5
"""A list waits for the end of a pause that is nearly over, rather than being without these tools."""
_ANSWERS_WITHIN_S = 5.0
"""What a server that let a call's time pass has to answer in, if it is not to be ended."""
_STOPS_WITHIN_S = 5.0

StartValues = Callable[[], dict[str, Any]]
"""The fields of the worker's `start`; called in a thread."""


class _TooLate(Exception):
    """A worker has not answered in time."""


class Server:
    """A configured server; belongs to the loop. `values` gives what it is started with."""

    def __init__(self, name: str, table: McpServer, values: StartValues, log_directory: Path) -> None:
        self.name = name
        self.table = table
        self.problems: Sequence[str] = ()
        """What is wrong with tools that it lists."""
        self._values = values
        self._log_name = f"mcp-{name}.log"
        self._log_directory = log_directory
        self._calls: Calls | None = None
        self._listed: Sequence[Mapping[str, Any]] | None = None
        self._starting: asyncio.Task[Calls] | None = None
        self._looking: set[asyncio.Task[None]] = set()
        self._children: set[Child] = set()
        self._began_at = 0.0
        self._failures = 0
        self._rests_until = 0.0
        self._why = ""
        self._answered = asyncio.Event()

    @property
    def pids(self) -> Sequence[int]:
        """The worker's process id, while it runs."""
        return () if self._calls is None else (self._calls.child.pid,)

    async def tools(self) -> Sequence[Mapping[str, Any]]:
        """What it lists, `{name, description, parameters}` each; starts it where it does not run.

        Raises:
            LlmspellError: it can't be started, does not list its tools, or rests after it has ended.
        """
        calls = await self._running(_LIST_WAITS_S, None)
        if self._listed is None:
            within_s = float(self.table.start_timeout_seconds)
            try:
                self._take_list(await self._ask(calls, "list", within_s))
            except _TooLate:
                raise self._too_late("the list of tools", within_s) from None
        assert self._listed is not None, "taken just now"
        return self._listed

    async def call(self, tool: str, arguments: Mapping[str, Any], timeout_s: float, on_progress: OnProgress) -> Frame:
        """One call, in `timeout_s` with the start that it may need; cancelling it tells the server so.

        Raises:
            InvalidRequest: the server refuses the arguments, or they are too large.
            Timeout: it took longer.
            WorkerCrashed: the server ended meanwhile.
            Unavailable: it can't be started.
            ToolError: it answers with an error, or with what is no result.
        """
        began = time.monotonic()
        try:
            async with asyncio.timeout(timeout_s):
                calls = await self._running(timeout_s, on_progress)
        except TimeoutError:
            raise self._too_late(f"tool '{tool}'", timeout_s) from None
        left_s = timeout_s - (time.monotonic() - began)
        try:
            return await self._ask(calls, "call", left_s, on_progress, tool=tool, arguments=dict(arguments))
        except _TooLate:
            raise self._too_late(f"tool '{tool}'", timeout_s) from None

    async def retire(self) -> None:
        """Ends it when the last call that runs has come to its end."""
        while self._calls is not None and self._calls.wanted:
            self._answered.clear()
            await self._answered.wait()
        await self.close()

    async def close(self) -> None:
        """Ends it in order, within seconds, with all that it has started."""
        for task in (*self._looking, *((self._starting,) if self._starting is not None else ())):
            task.cancel()
        await asyncio.gather(*self._looking, *filter(None, (self._starting,)), return_exceptions=True)
        calls, self._calls = self._calls, None
        if calls is not None:
            try:
                async with asyncio.timeout(_STOPS_WITHIN_S):
                    await calls.open("stop").last()
            except TimeoutError:
                log.warning("MCP server '%s' does not end by itself, and is ended", self.name)
            finally:
                calls.child.kill()
        await asyncio.gather(*(child.exited for child in self._children))

    async def _running(self, patience_s: float, on_progress: OnProgress | None) -> Calls:
        """The calls to a worker whose session has begun; waits for a pause of at most `patience_s`."""
        if self._calls is not None:
            return self._calls
        if self._starting is None:
            pause_s = self._rests_until - time.monotonic()
            if pause_s > patience_s:
                raise Unavailable(
                    f"MCP server '{self.name}': {self._why}; it is started again in {pause_s:.0f} s",
                    hint=f"its log has more: {self._log_name}; llmspell config reload starts it with new settings",
                    details={"server": self.name, "retry_after_s": round(pause_s, 1)},
                )
            if self._failures and on_progress is not None:
                on_progress(f"MCP server '{self.name}' is started again ({self._why})", {})
            self._starting = of_no_request(asyncio.get_running_loop().create_task, self._start(max(pause_s, 0.0)))
            self._starting.add_done_callback(self._started)
        return await asyncio.shield(self._starting)

    def _started(self, task: asyncio.Task[Calls]) -> None:
        self._starting = None
        if not task.cancelled():
            task.exception()  # told to those who wait, if any still do

    async def _start(self, pause_s: float) -> Calls:
        await asyncio.sleep(pause_s)
        within_s = float(self.table.start_timeout_seconds)
        try:
            # A keyring may ask its user for a password.
            values = await asyncio.to_thread(self._values)
        except LlmspellError as error:
            raise self._failed(error, error.message) from None
        child = Child.spawn(
            _WORKER,
            environment={},
            log_path=self._log_directory / self._log_name,
            memory_bytes=TOOL_BYTES,
            kill=kill_tree,
        )
        calls = Calls(child, on_frame=lambda frame: self._told(calls, frame), on_exit=lambda _: self._ended(calls))
        self._children.add(child)
        began = calls.open("start", **values)
        self._why = ""
        try:
            async with asyncio.timeout(within_s):
                frame = await began.last()
        except TimeoutError:
            calls.child.kill()
            late = Timeout("", details={"timeout_s": within_s})
            raise self._failed(late, f"it was not ready within {within_s:g} s") from None
        except asyncio.CancelledError:
            calls.child.kill()
            raise
        if frame["op"] != "done":
            calls.child.kill()
            if frame["op"] == EXITED:
                why = self._why or f"its process ended {ending(frame['status'])}"
                raise self._failed(Unavailable(""), why)
            refused = error_from_content(frame["error"])
            raise self._failed(refused, refused.message)
        self._calls = calls
        self._began_at = time.monotonic()
        about = frame["about"]
        log.info("MCP server '%s' is ready: %s", self.name, " ".join(str(value) for value in about.values()))
        self._take_list(frame)
        return calls

    def _failed(self, error: LlmspellError, why: str) -> LlmspellError:
        """The error of a start that went wrong; the next one is a while away."""
        self._rest(why)
        log.warning("MCP server '%s' can't be started: %s", self.name, why)
        kind = Unavailable if type(error) in (Internal, WorkerCrashed) else type(error)
        return kind(
            f"MCP server '{self.name}' can't be started: {why}",
            hint=error.hint or f"its log has more: {self._log_name}",
            details={**error.details, "server": self.name},
            retryable=error.retryable,
        )

    def _rest(self, why: str) -> None:
        self._why = why
        self._failures += 1
        pause_s = min(_FIRST_PAUSE_S * 2 ** (self._failures - 1), _LONGEST_PAUSE_S)
        self._rests_until = time.monotonic() + pause_s

    def _told(self, calls: Calls, frame: Frame) -> None:
        if frame["op"] == "changed":
            self._listed = None
        elif frame["op"] == "ended":
            self._why = str(frame["reason"])
            calls.child.kill()

    def _ended(self, calls: Calls) -> None:
        self._children.discard(calls.child)
        if self._calls is not calls:
            return
        self._calls = self._listed = None
        assert calls.exit_status is not None, "told at its exit"
        why = self._why or f"its process ended {ending(calls.exit_status)}"
        if time.monotonic() - self._began_at >= _STEADY_S:
            self._failures = 0
        self._rest(why)
        log.warning("MCP server '%s' has ended: %s; the next use starts it again", self.name, why)

    def _take_list(self, frame: Frame) -> None:
        self._listed = tuple(frame["tools"])
        self.problems = tuple(f"MCP server '{self.name}': {text}" for text in frame["problems"])

    async def _ask(
        self, calls: Calls, op: str, within_s: float, on_progress: OnProgress | None = None, **fields: Any
    ) -> Frame:
        what = f"tool '{fields['tool']}'" if op == "call" else "the list of tools"
        try:
            call = calls.open(op, **fields)
        except FrameTooLarge:
            raise InvalidRequest(f"{what}: the arguments are too large") from None
        try:
            async with asyncio.timeout(within_s):
                frame = await _last(call, on_progress)
        except TimeoutError:
            self._given_up(calls, call)
            raise _TooLate from None
        except asyncio.CancelledError:
            self._given_up(calls, call)
            raise
        self._answered.set()
        if frame["op"] == EXITED:
            why = self._why or f"its process ended {ending(frame['status'])}"
            raise WorkerCrashed(
                f"MCP server '{self.name}' ended during {what}: {why}",
                hint=f"its log has more: {self._log_name}; the next call starts it again",
                details={"server": self.name},
                retryable=False,
            )
        if frame["op"] == "error":
            raise error_from_content(frame["error"])
        return frame

    def _too_late(self, what: str, within_s: float) -> Timeout:
        return Timeout(
            f"{what} of MCP server '{self.name}' timed out after {within_s:g}s",
            hint=f"give it more time (--timeout, or mcp.servers.{self.name}.timeout_seconds)",
            details={"server": self.name, "timeout_s": within_s},
        )

    def _given_up(self, calls: Calls, call: Call) -> None:
        """The server is told; where it was the only call it has to show that it is still there."""
        call.leave()
        self._answered.set()
        if self._calls is calls and not calls.wanted:
            task = of_no_request(asyncio.get_running_loop().create_task, self._look(calls))
            self._looking.add(task)
            task.add_done_callback(self._looking.discard)

    async def _look(self, calls: Calls) -> None:
        sign = calls.open("list")
        try:
            async with asyncio.timeout(_ANSWERS_WITHIN_S):
                await sign.last()
        except TimeoutError:
            sign.leave()
            if self._calls is calls and not calls.wanted:
                self._why = f"it answered nothing for {_ANSWERS_WITHIN_S:g} s after a call was given up"
                calls.child.kill()


async def _last(call: Call, on_progress: OnProgress | None) -> Frame:
    while (frame := await call.next())["op"] == "progress":
        if on_progress is not None:
            on_progress(frame["message"], frame["figures"])
    return frame
