"""One script worker seen from the kernel: runs jobs, calls functions of scripts, and asks about code.

Knows requests and frames; which context the worker is for is `context.py`'s business.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Protocol

from llmspell_kernel.request import Content, Outlet, Request, Submit
from llmspell_kernel.scripting.comms import Comms
from llmspell_kernel.scripting.defects import error_of
from llmspell_kernel.scripting.job import Job, job_fields, rights_fields
from llmspell_kernel.scripting.limits import ScriptLimits
from llmspell_kernel.scripting.outcome import Result, cancelled_error, crashed, failure, spoiled
from llmspell_kernel.scripting.scope import OnOutput, Scope
from llmspell_protocol.calls import EXITED, Call, Calls
from llmspell_protocol.child import Child
from llmspell_protocol.errors import Forbidden, InvalidRequest, NotFound, ScriptError
from llmspell_protocol.frames import Frame, FrameTooLarge


class Debugger(Protocol):
    """What is attached to the scripts of a process."""

    def may_stop(self, request: Request) -> bool:
        """Whether what runs for this request may stop."""

    def event(self, event: str, body: Content, request: Request) -> None:
        """Hears of an event of what runs for the request."""


class ScriptProcess:
    """A worker process with one Lua state; belongs to the loop that launched it.

    `name` is the script context that its requests come from. One execution at a time; functions of its scripts may be
    invoked at any time, one at a time but for those that the running one's own requests call: those nest.
    """

    def __init__(self, child: Child, limits: ScriptLimits, submit: Submit, *, name: str) -> None:
        self.limits = limits
        self.name = name
        self.submit = submit
        self._child = child
        self._calls = Calls(child, on_frame=self._take)
        self._scopes: dict[int, Scope] = {}
        self.comms = Comms()
        self._executing: Scope | None = None
        self._last_origin: tuple[str, bool] | None = None
        """Whose execution began last."""
        self._running: list[Scope] = []
        """What the worker has begun and not ended, innermost last."""
        self._invoked: list[_Turn] = []
        """The turns of the functions that are being called, innermost last."""
        self._queued: list[_Turn] = []
        self.debugger: Debugger | None = None
        """What is attached to its scripts."""
        self._frozen: list[Scope] = []
        self._calls.open(
            "start",
            stdlib=limits.stdlib,
            max_memory_bytes=limits.max_memory_bytes,
            sessions=limits.sessions,
            rag=limits.rag,
        )

    @property
    def alive(self) -> bool:
        """Whether the worker can still be asked."""
        return self._child.alive

    @property
    def pid(self) -> int:
        """The worker's process id."""
        return self._child.pid

    async def execute(self, request: Request, job: Job, on_output: OnOutput) -> Result:
        """Runs a job to its end.

        Cancelling the call interrupts the script, and kills its worker if it doesn't stop in time (`stopping.py`).

        Raises:
            ScriptError: the script failed.
            ScriptLimit: it used more memory or time than it may.
            WorkerCrashed: its process ended by itself.
            Cancelled: the request was cancelled with a reason.
            CancelledError: it was cancelled without one.
        """
        fields = job_fields(job)

        def open_call() -> Call:
            asks = request.root.options.interactive and job.stdin == "ask"
            may_stop = job.debugged and self._may_stop(request)
            rights = rights_fields(job, self.limits)
            return self._calls.open("execute", asks=asks, debug=may_stop, **fields, **rights)

        scope = Scope(self, request, on_output, open_call, hosts=(*self.limits.hosts, *job.rights.net))
        self._executing, self._last_origin = scope, request.root.caller.origin
        try:
            frame = await self._run(scope)
        finally:
            self._executing = None
        self._raise_failure(scope, frame, job.name)
        return Result(
            value=frame["value"],
            text=frame["text"],
            duration_ms=round(scope.clock.elapsed_s * 1000),
            exit_code=frame.get("exit_code"),
            expressions=frame.get("expressions", {}),
            payload=frame.get("payload", ()),
            values=frame.get("values", 1),
            problem=frame.get("problem"),
            bundle=frame.get("bundle"),
        )

    async def invoke(
        self,
        request: Request,
        function: int,
        arguments: Sequence[Any],
        on_output: OnOutput,
        on_begin: Callable[[], None] | None = None,
    ) -> Any:
        """Calls a function that a script has offered, with plain values, for `request`; its first result.

        It runs between executions or while one waits; what it asks for are children of `request`, with its rights.
        `on_begin` is called when its turn has come and the worker runs it.

        Raises:
            NotFound: the function was released, or forgotten with the context's variables.
            InvalidRequest: the arguments fit no frame.
            Others as `execute` does.
        """

        def open_call() -> Call:
            # What the script could reach is its client's: those who are not that reach nothing through it.
            lent = request.root.caller.origin == self._last_origin
            may_stop = self._may_stop(request)
            return self._calls.open("invoke", fn=function, arguments=list(arguments), debug=may_stop, lent=lent)

        async with self._turn(request) as turn:
            try:
                scope = turn.scope = Scope(self, request, on_output, open_call, on_begin=on_begin)
            except FrameTooLarge:
                raise InvalidRequest("the arguments are too large for a script") from None
            frame = await self._run(scope)
        if frame.get("kind") == "not_found" and not scope.cancelled:
            raise NotFound(str(frame["message"]))
        self._raise_failure(scope, frame, "function")
        if frame.get("exit_code") is not None:
            raise ScriptError("the function called os.exit, which ends a script and no function")
        return frame["value"]

    def print(self, stream: str, text: str) -> None:
        """Prints as the execution does that runs here; nothing where none does."""
        if self._executing is not None:
            self._executing.print(stream, text)

    @property
    def outlet(self) -> Outlet | None:
        """Where the execution shows things that runs here."""
        return None if self._executing is None else self._executing.request.root.outlet

    def release(self, function: int) -> None:
        """Lets the worker forget a function that it has offered."""
        self._child.send({"op": "release", "fn": function})

    async def ask(self, op: str, **fields: Any) -> Frame:
        """Sends `complete`, `inspect` or `is_complete` and waits for the answer; cancelling takes the question back.

        Raises:
            ScriptError: it failed.
            WorkerCrashed: the process ended.
        """
        call = self._calls.open(op, **fields)
        try:
            frame = await call.last()
        finally:
            call.leave()
        if frame["op"] == EXITED:
            raise crashed(frame)
        if frame["op"] == "error":
            raise ScriptError(str(frame["message"]))
        return frame

    def debug(self, command: str, arguments: Mapping[str, Any]) -> Call:
        """Gives the debugger in the worker a command; its answer's `body` is in the last frame."""
        return self._calls.open("debug", command=command, arguments=dict(arguments))

    async def call_debugger(
        self,
        request: Request,
        job: Job,
        command: str,
        arguments: Mapping[str, Any],
        on_output: OnOutput,
        on_begin: Callable[[], None],
    ) -> Content:
        """Gives the debugger a command that may run functions of the script's: they run for `request`, within the
        limits of an execution, with the rights of `job`, whatever the script runs for that is stopped.

        Raises:
            InvalidRequest: the debugger says no, or what it was given failed.
            Others as `execute` does.
        """

        def open_call() -> Call:
            places = {"script_directory": job.script_directory, "working_directory": job.working_directory}
            rights = rights_fields(job, self.limits)
            return self._calls.open(
                "debug_call", command=command, arguments=dict(arguments), asks=False, **places, **rights
            )

        hosts = (*self.limits.hosts, *job.rights.net)
        scope = Scope(self, request, on_output, open_call, hosts=hosts, on_begin=on_begin)
        frame = await self._run(scope)
        if frame["op"] == "error" and frame["kind"] == "error" and not (scope.cancelled or scope.limit or scope.error):
            raise InvalidRequest(str(frame["message"]), hint=frame.get("hint"))
        self._raise_failure(scope, frame, job.name)
        body: Content = frame["body"]
        return body

    @property
    def origins(self) -> frozenset[tuple[str, bool]]:
        """For whom everything runs that has begun here and not ended."""
        return frozenset(scope.request.root.caller.origin for scope in self._running)

    @property
    def executes(self) -> bool:
        """Whether an execution runs here."""
        return self._executing is not None

    async def end(self) -> None:
        """Ends the worker; what still waits for it fails."""
        self.comms.end()
        await self._child.end()

    def kill(self) -> None:
        """Ends the worker at once, with the programs that its script has started."""
        self._child.kill()

    def send(self, frame: Frame) -> None:
        """Passes a frame to the worker."""
        self._child.send(frame)

    async def _run(self, scope: Scope) -> Frame:
        number = scope.call.id
        self._scopes[number] = scope
        try:
            return await scope.answer()
        finally:
            del self._scopes[number]
            self._settle()

    def _raise_failure(self, scope: Scope, frame: Frame, name: str) -> None:
        if scope.cancelled:
            raise cancelled_error(frame, scope.request.cancel_reason, killed=scope.killed)
        if scope.error is not None:
            raise spoiled(scope.error, frame, name, killed=scope.killed)
        if frame["op"] != "done":
            raise failure(frame, name, self.limits, limit=scope.limit, killed=scope.killed)

    # Whose turn it is to be invoked

    @asynccontextmanager
    async def _turn(self, request: Request) -> AsyncIterator[_Turn]:
        turn = _Turn(request)
        if self._may_go(turn):
            self._invoked.append(turn)
            turn.come.set_result(None)
        else:
            self._queued.append(turn)
        try:
            await turn.come
            yield turn
        finally:
            (self._invoked if turn in self._invoked else self._queued).remove(turn)
            self._admit()

    def _may_go(self, turn: _Turn) -> bool:
        if not self._invoked:
            return True
        scope = self._invoked[-1].scope
        return scope is not None and scope.asked_for(turn.request)

    def _admit(self) -> None:
        """Lets the first go that may, in the order in which they came."""
        for turn in self._queued:
            if self._may_go(turn) and not turn.come.done():
                self._queued.remove(turn)
                self._invoked.append(turn)
                turn.come.set_result(None)
                return

    # Frames

    def _take(self, frame: Frame) -> None:
        scope = self._scopes.get(frame["scope"])
        if scope is None:
            if frame["op"] == "request":
                refused = Forbidden("what this script was running for has ended")
                self._child.send({"op": "reply", "id": frame["id"], "content": refused.to_content()})
            return
        try:
            self._take_of(scope, frame)
        except Exception as problem:  # noqa: BLE001 — its traceback is logged with the incident
            # What the frame wanted can't be done: that ends what wanted it, and neither the worker nor the next frame.
            scope.fail(error_of(problem, f"a script's {frame['op']}"))

    def _take_of(self, scope: Scope, frame: Frame) -> None:
        if frame["op"] == "began":
            self._began(scope)
        elif frame["op"] == "debug_event":
            self._debug_event(frame, scope)
        else:
            scope.take(frame)

    def _may_stop(self, request: Request) -> bool:
        return self.debugger is not None and self.debugger.may_stop(request)

    def _debug_event(self, frame: Frame, scope: Scope) -> None:
        event, body = frame["event"], frame["body"]
        if event == "stopped":
            self._frozen = list(self._running)
            for one in self._frozen:
                one.clock.freeze()
        elif event == "continued":
            for one in self._frozen:
                one.clock.thaw()
            self._frozen = []
        if self.debugger is not None:
            self.debugger.event(event, body, scope.request)

    def _began(self, scope: Scope) -> None:
        self._settle()
        if self._running:
            # It runs on the other's stack: what it computes is not the other's time.
            self._running[-1].clock.pause()
        self._running.append(scope)
        scope.begin()

    def _settle(self) -> None:
        """Takes what the worker has ended off the stack; what is below it runs on."""
        while self._running and self._running[-1].call.done:
            self._running.pop()
            if self._running:
                self._running[-1].clock.resume()


class _Turn:
    """One call of a function: waiting for its turn until `come`, then running in `scope`."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.come: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.scope: Scope | None = None
