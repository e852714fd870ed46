"""One script worker seen from the kernel: starts it, passes frames, keeps time, stops it, tells how it ended.

Knows requests and frames; which context the worker is for is `contexts.py`'s business.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from types import MappingProxyType
from typing import Any, NamedTuple

from llmspell_kernel.context import Content, Request, Submit, handling
from llmspell_kernel.identity import script_caller
from llmspell_kernel.scripting.clock import ScriptClock
from llmspell_kernel.scripting.limits import ScriptLimits
from llmspell_kernel.scripting.outcome import Result, cancelled_error, crashed, failure
from llmspell_protocol.areas import AREA_OF
from llmspell_protocol.child import Child
from llmspell_protocol.errors import Forbidden, NotFound, ScriptError
from llmspell_protocol.frames import Frame, FrameTooLarge

STOP_GRACE_S = 1.0
"""How long a script may take to notice that it has to stop; then its process is killed."""

_LEVELS = {"TRACE": 5, "DEBUG": logging.DEBUG, "INFO": logging.INFO, "WARN": logging.WARNING, "ERROR": logging.ERROR}

log = logging.getLogger(__name__)


class Job(NamedTuple):
    """One piece of code to run; without directories the script can't read files."""

    code: str
    name: str
    """The chunk's name, as error positions show it."""
    cell: bool = False
    """A notebook's cell: the value of an expression is its result, which may be anything."""
    data: bool = False
    """A cell whose result is wanted as plain data too, where it has such a form."""
    script: str = ""
    arguments: Sequence[str] | None = None
    """The words for ARGS and arg; None leaves those of the context as they are."""
    script_directory: str | None = None
    working_directory: str | None = None
    environment: Mapping[str, str] = MappingProxyType({})
    stdin: str = "none"
    """What reading gives: `none` (end of input), `error`, or `ask` (the one who started the script)."""
    expressions: Mapping[str, str] = MappingProxyType({})


class _Execution:
    def __init__(
        self, number: int, request: Request, on_output: Callable[[str, str], None], clock: ScriptClock
    ) -> None:
        self.id = number
        self.request = request
        self.on_output = on_output
        self.clock = clock
        self.limit: str | None = None
        self.stopping = False
        self.killed = False


class ScriptProcess:
    """A worker process with one Lua state; belongs to the loop that launched it. One execution at a time."""

    def __init__(self, child: Child, limits: ScriptLimits, submit: Submit, *, context: str) -> None:
        self.limits = limits
        self.context = context
        self._submit = submit
        self._numbers = count(1)
        self._answers: dict[int, asyncio.Future[Frame]] = {}
        self._requests: dict[int, Request] = {}
        self._questions: set[asyncio.Task[None]] = set()
        self._execution: _Execution | None = None
        self._ready = False
        self._child = child
        child.hand_over(self._on_frame, self._on_exit)
        start = {"stdlib": limits.stdlib, "max_memory_bytes": limits.max_memory_bytes}
        self._child.send({"op": "start", "id": 0, **start})

    @property
    def alive(self) -> bool:
        """Whether the worker can still be asked."""
        return self._child.alive

    @property
    def pid(self) -> int:
        """The worker's process id."""
        return self._child.pid

    async def execute(self, request: Request, job: Job, on_output: Callable[[str, str], None]) -> Result:
        """Runs a job to its end; `on_output(stream, text)` gets what it prints, as it prints it.

        Cancelling the call interrupts the script, and kills its worker if it doesn't stop within `STOP_GRACE_S`.

        Raises:
            ScriptError: the script failed.
            ScriptLimit: it used more memory or time than it may.
            WorkerCrashed: its process ended by itself.
            Cancelled: the request was cancelled with a reason.
            CancelledError: it was cancelled without one.
        """
        number = next(self._numbers)
        clock = ScriptClock(self.limits.compute_s, self.limits.wall_s, self._limit_reached)
        execution = self._execution = _Execution(number, request, on_output, clock)
        if not self._ready:
            clock.pause()
        answer = self._ask("execute", number, **_job_fields(job), file_access=self.limits.file_access)
        cancelled = False
        try:
            while not answer.done():
                try:
                    await asyncio.wait({answer})
                except asyncio.CancelledError:
                    if cancelled:
                        self._kill(execution)
                    cancelled = True
                    self._stop(execution)
            frame = answer.result()
        finally:
            clock.stop()
            self._execution = None
            self._cancel_requests("the script that asked has ended")
        if cancelled:
            raise cancelled_error(frame, execution.request.cancel_reason, killed=execution.killed)
        if frame["op"] == "result":
            return Result(
                value=frame["value"],
                text=frame["text"],
                duration_ms=round(clock.elapsed_s * 1000),
                exit_code=frame.get("exit_code"),
                expressions=frame.get("expressions", {}),
            )
        raise failure(frame, job.name, self.limits, limit=execution.limit, killed=execution.killed)

    async def ask(self, op: str, **fields: Any) -> Frame:
        """Sends `complete`, `is_complete`, `reset` or `invoke` and waits for the result.

        Raises:
            NotFound: the function to be invoked is gone.
            ScriptError: it failed.
            WorkerCrashed: the process ended.
        """
        answer = self._ask(op, next(self._numbers), **fields)
        frame = await asyncio.shield(answer)
        if frame["op"] == "result":
            return frame
        if frame["op"] == "crashed":
            raise crashed(frame)
        kind = NotFound if frame.get("kind") == "not_found" else ScriptError
        raise kind(str(frame["message"]))

    async def invoke(self, function: int, arguments: Sequence[Any]) -> Any:
        """Calls a function of the script's (`{"$fn": id}`) with plain values; its first result. Raises as `ask`."""
        frame = await self.ask("invoke", fn=function, arguments=list(arguments))
        return frame["value"]

    async def end(self) -> None:
        """Ends the worker; what still waits for it fails."""
        await self._child.end()

    def kill(self) -> None:
        """Ends the worker at once."""
        self._child.kill()

    # Stopping

    def _limit_reached(self, message: str) -> None:
        execution = self._execution
        if execution is not None and not execution.stopping:
            execution.limit = message
            self._stop(execution)

    def _stop(self, execution: _Execution) -> None:
        if execution.stopping:
            return
        execution.stopping = True
        execution.clock.stop()
        self._child.send({"op": "interrupt", "execution": execution.id})
        self._cancel_requests("the script was stopped")
        asyncio.get_running_loop().call_later(STOP_GRACE_S, self._kill_if_running, execution)

    def _kill_if_running(self, execution: _Execution) -> None:
        if self._execution is execution and not self._answers[execution.id].done():
            self._kill(execution)

    def _kill(self, execution: _Execution) -> None:
        execution.killed = True
        self._child.kill()

    def _cancel_requests(self, reason: str) -> None:
        for question in tuple(self._questions):
            question.cancel()
        for request in tuple(self._requests.values()):
            request.cancel(reason)

    # Frames

    def _ask(self, op: str, number: int, **fields: Any) -> asyncio.Future[Frame]:
        answer: asyncio.Future[Frame] = asyncio.get_running_loop().create_future()
        self._answers[number] = answer
        answer.add_done_callback(lambda _: self._answers.pop(number, None))
        if self._child.alive:
            self._child.send({"op": op, "id": number, **fields})
        else:
            answer.set_result({"op": "crashed", "status": self._child.exited.result()})
        return answer

    def _on_frame(self, frame: Frame) -> None:
        op, execution = frame["op"], self._execution
        if op == "ready":
            self._ready = True
            if execution is not None:
                execution.clock.resume()
        elif op in ("result", "error"):
            answer = self._answers.get(frame["id"])
            if answer is not None and not answer.done():
                answer.set_result(frame)
        elif op == "cancel":
            request = self._requests.get(frame["id"])
            if request is not None:
                request.cancel("the script doesn't want it any more")
        elif execution is not None:
            self._of_execution(op, frame, execution)
        elif op == "request":
            # Every request has a parent whose rights it takes; a function called between executions has none yet.
            refused = Forbidden("functions of a script can't make requests while it doesn't run")
            self.send_event("reply", frame["id"], refused.to_content())

    def _of_execution(self, op: str, frame: Frame, execution: _Execution) -> None:
        if op == "stream":
            execution.on_output(frame["name"], frame["text"])
        elif op == "request":
            self._request(frame, execution)
        elif op == "waiting":
            (execution.clock.pause if frame["waiting"] else execution.clock.resume)()
        elif op == "input":
            question = asyncio.get_running_loop().create_task(self._question(frame, execution))
            self._questions.add(question)
            question.add_done_callback(self._questions.discard)
        elif op == "log":
            where = frame["module"] or self.context
            data = f" {frame['data']}" if frame["data"] is not None else ""
            with handling(execution.request):
                log.log(_LEVELS[frame["level"]], "[%s] %s%s", where, frame["message"], data)

    def _request(self, frame: Frame, execution: _Execution) -> None:
        number, msg_type, parent = frame["id"], frame["msg_type"], execution.request
        sink = _PipeSink(self, number, execution.clock)
        execution.clock.pause()
        if msg_type not in AREA_OF:
            sink.reply(Forbidden(f"{msg_type} is not open to scripts").to_content())
            return
        caller = script_caller(parent.caller, self.context, file_access=self.limits.file_access)
        request = Request(
            id=f"{parent.id}.{self.context}.{number}",
            msg_type=msg_type,
            content=frame["content"],
            caller=caller,
            sink=sink,
            parent=parent,
            header=parent.header,
        )
        self._requests[number] = request
        self._submit(request)

    async def _question(self, frame: Frame, execution: _Execution) -> None:
        execution.clock.pause()
        try:
            text = await execution.request.sink.ask(frame["prompt"])
        finally:
            execution.clock.resume()
        self._child.send({"op": "input_reply", "text": text})

    def send_event(self, op: str, number: int, content: Content) -> None:
        """Passes progress, a delta or the reply of one of the script's requests on to it."""
        if op == "reply":
            self._requests.pop(number, None)
        try:
            self._child.send({"op": op, "id": number, "content": content})
        except FrameTooLarge:
            too_large = ScriptError("the answer is too large for a script")
            self._child.send({"op": op, "id": number, "content": too_large.to_content()})

    def _on_exit(self, status: int) -> None:
        self._cancel_requests("the script worker ended")
        for answer in tuple(self._answers.values()):
            if not answer.done():
                answer.set_result({"op": "crashed", "status": status})


class _PipeSink:
    """The answers to a script's request go back through the pipe."""

    def __init__(self, process: ScriptProcess, number: int, clock: ScriptClock) -> None:
        self._process = process
        self._number = number
        self._clock = clock

    def progress(self, content: Content) -> None:
        """Passes it on."""
        self._process.send_event("progress", self._number, content)

    def delta(self, content: Content) -> None:
        """Passes it on."""
        self._process.send_event("delta", self._number, content)

    def reply(self, content: Content, buffers: Sequence[bytes] = ()) -> None:
        """Passes it on; no global asks for anything with buffers."""
        self._clock.resume()
        self._process.send_event("reply", self._number, content)

    def publish(self, msg_type: str, content: Content, metadata: Content | None = None) -> None:
        """A script's request has no frontend of its own."""

    async def ask(self, prompt: str, *, password: bool = False) -> str | None:
        """Nobody is there to be asked."""
        return None


def _job_fields(job: Job) -> dict[str, Any]:
    return {
        "code": job.code,
        "name": job.name,
        "cell": job.cell,
        "data": job.data,
        "script": job.script,
        "arguments": None if job.arguments is None else list(job.arguments),
        "script_directory": job.script_directory,
        "working_directory": job.working_directory,
        "environment": dict(job.environment),
        "stdin": job.stdin,
        "expressions": dict(job.expressions),
    }
