"""One script context: its worker, whose turn it is, how many cells it has counted, and what runs in it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple, Protocol

from llmspell_kernel.request import Content, Request
from llmspell_kernel.scripting.comms import Comms
from llmspell_kernel.scripting.engines import Engine
from llmspell_kernel.scripting.job import Job
from llmspell_kernel.scripting.jobs import debugger_job
from llmspell_kernel.scripting.outcome import Result
from llmspell_kernel.scripting.places import NOTHING_SEEN, Seen
from llmspell_kernel.scripting.process import ScriptProcess
from llmspell_kernel.scripting.scope import OnOutput
from llmspell_kernel.scripting.workers import Workers
from llmspell_protocol.errors import WorkerCrashed
from llmspell_protocol.frames import Frame

INTROSPECTION_S = 0.8
"""A console waits one second for is_complete; a worker that computes can't answer before."""

LONGEST_TYPED = 500_000
"""Characters of code of which a console may ask whether it is complete."""


class Candidate(NamedTuple):
    """What could stand at a cursor; `type` is a word that frontends show, `signature` a function's parameters."""

    text: str
    type: str
    signature: str


class Completions(NamedTuple):
    """Candidates for the characters from `start` to `end`."""

    candidates: Sequence[Candidate]
    start: int
    end: int


class ContextDebugger(Protocol):
    """What a context tells a debugger: which worker has its scripts."""

    def adopt(self, process: ScriptProcess) -> None:
        """A worker was started, and has run nothing yet."""

    def worker_gone(self) -> None:
        """The worker has ended, with all that stood in it."""


class Aborted(Exception):
    """A cell before this one failed, and its client wanted the rest not to run."""


class _Turn:
    def __init__(self, request: Request) -> None:
        self.request = request
        self.aborted = False


class Context:
    """A place where scripts run and leave their variables; belongs to the loop.

    Its worker starts when it is first needed; one that has died is replaced, and the variables are gone.
    """

    def __init__(
        self,
        id: str,
        engine: Engine,
        workers: Workers,
        directory: str | None = None,
        on_end: Callable[[str], None] | None = None,
    ) -> None:
        self.id = id
        self.directory = directory
        """Where cells run that don't say where; None: in the kernel's own directory."""
        self.engine = engine
        self.execution_count = 0
        """The number of the last cell that counted."""
        self.first_line: str | None = None
        """What the next cell shows on its standard error before its own output."""
        self._workers = workers
        self._on_end = on_end
        self._process: ScriptProcess | None = None
        self._turns: list[_Turn] = []
        self._lock = asyncio.Lock()
        self._running: Request | None = None
        self._called: set[Request] = set()
        """What frontends say on comms, as far as a script has not heard it to its end."""
        self._debugging: set[Request] = set()
        """What a debugger has asked for that may run functions of the script's."""
        self.controls = Comms()
        """Comms that the kernel answers by itself, whatever becomes of the worker."""
        self.typed_in: str | None = None
        """The session that has asked last whether code is complete: a console asks before it runs what was typed."""
        self.has_widgets = False
        """Whether a frontend shows widgets: it has asked for them."""
        self.debugger: ContextDebugger | None = None
        """What follows its workers, where a frontend debugs it."""

    @property
    def comms(self) -> Comms | None:
        """The comms of its script; None where no worker runs."""
        return self._process.comms if self._process is not None and self._process.alive else None

    def widgets(self) -> Comms | None:
        """What widgets are made with; None where the frontends have none."""
        return self.comms if self.has_widgets else None

    @property
    def origins(self) -> frozenset[tuple[str, bool]]:
        """For whom everything runs in it, see `ScriptProcess.origins`."""
        return self._process.origins if self._process is not None else frozenset()

    @property
    def pid(self) -> int | None:
        """The worker's process id; None where none has been needed yet, or it has died."""
        return self._process.pid if self._process is not None and self._process.alive else None

    @property
    def busy(self) -> bool:
        """Whether a cell runs or waits."""
        return bool(self._turns)

    @property
    def running_worker(self) -> str | None:
        """The name of its worker; None where none runs."""
        return self._process.name if self._process is not None and self._process.alive else None

    @property
    def worker_name(self) -> str:
        """The name of its worker, which functions of its script have as their context; starts one where none runs."""
        return self._worker().name

    def prepare(self) -> None:
        """Starts its worker ahead of the first cell."""
        self._worker()

    @asynccontextmanager
    async def turn(self, request: Request) -> AsyncIterator[None]:
        """One cell's turn, in the order of arrival.

        Raises:
            Aborted: a cell of the same client failed while this one waited.
        """
        turn = _Turn(request)
        self._turns.append(turn)
        try:
            async with self._lock:
                if turn.aborted:
                    raise Aborted
                self._running = request
                try:
                    yield
                finally:
                    self._running = None
        finally:
            self._turns.remove(turn)

    def abort_waiting(self, failed: Request) -> None:
        """Cells of the same client that wait now will not run."""
        for turn in self._turns:
            if turn.request is not failed and turn.request.caller.client == failed.caller.client:
                turn.aborted = True

    async def execute(self, request: Request, job: Job, on_output: OnOutput) -> Result:
        """Runs a job; where several may come, within `turn`. Raises as `ScriptProcess.execute`."""
        process = self._worker()
        try:
            return await process.execute(request, job, on_output)
        finally:
            if not process.alive:
                self.forget_variables()

    async def call(self, request: Request, function: int, arguments: Sequence[Any], on_output: OnOutput) -> None:
        """Calls a function of its script for a message of a frontend's. Raises as `ScriptProcess.invoke`."""
        self._called.add(request)
        try:
            await self._worker().invoke(request, function, arguments, on_output)
        finally:
            self._called.discard(request)

    async def call_debugger(
        self,
        process: ScriptProcess,
        request: Request,
        command: str,
        arguments: Mapping[str, Any],
        on_output: OnOutput,
        on_begin: Callable[[], None],
    ) -> Content:
        """Gives the debugger in its worker a command for a frontend. Raises as `ScriptProcess.call_debugger`."""
        self._debugging.add(request)
        job = debugger_job(request, self.directory)
        try:
            return await process.call_debugger(request, job, command, arguments, on_output, on_begin)
        finally:
            self._debugging.discard(request)
            if process is self._process and not process.alive:
                self.forget_variables()

    def interrupt(self) -> bool:
        """Cancels the cell that has its turn, or else what its comms have called, and what a debugger has asked for;
        False if there is nothing."""
        running = {self._running} if self._running is not None else self._called
        interrupted = [*running, *self._debugging]
        for request in interrupted:
            request.cancel("interrupted by the user")
        return bool(interrupted)

    def end(self) -> None:
        """Cells that run or wait end with an error, the variables are gone, and the next cell is the first."""
        for turn in tuple(self._turns):
            turn.request.cancel("the context has ended")
        self.forget_variables()
        self.execution_count = 0
        if self._on_end is not None:
            self._on_end(self.id)

    def forget_variables(self) -> None:
        """Ends the worker; what runs next gets a new one."""
        process, self._process = self._process, None
        if process is not None:
            self._workers.end(process)
            if self.debugger is not None:
                self.debugger.worker_gone()

    async def is_complete(self, code: str) -> tuple[str, str]:
        """`complete`, `incomplete`, `invalid`, or `unknown` while the worker computes; and the next line's indent.

        Of more code than a person types it is `unknown`: nothing interrupts Lua's compiler.
        """
        if len(code) > LONGEST_TYPED:
            return "unknown", ""
        frame = await self._asked("is_complete", code=code)
        return ("unknown", "") if frame is None else (str(frame["status"]), str(frame["indent"]))

    async def complete(self, code: str, cursor: int, seen: Seen = NOTHING_SEEN) -> Completions:
        """What could stand at this character; nothing while the worker computes."""
        places = [*seen.places, *self._worker().limits.read]
        frame = await self._asked("complete", code=code, cursor=cursor, directory=seen.directory, places=places)
        if frame is None:
            return Completions((), cursor, cursor)
        return Completions([Candidate(*one) for one in frame["matches"]], int(frame["start"]), int(frame["end"]))

    async def inspect(self, code: str, cursor: int, *, detailed: bool = False) -> dict[str, str]:
        """What is known about the name at this character, by MIME type; empty: nothing, or the worker computes.

        `detailed`: with the source of a script's function.
        """
        frame = await self._asked("inspect", code=code, cursor=cursor, detailed=detailed)
        return {} if frame is None else dict(frame["data"])

    async def _asked(self, question: str, **fields: Any) -> Frame | None:
        """The worker's answer; None where it computes, or has died meanwhile."""
        try:
            async with asyncio.timeout(INTROSPECTION_S):
                return await self._worker().ask(question, **fields)
        except (TimeoutError, WorkerCrashed):
            return None

    def worker(self) -> ScriptProcess:
        """Its worker; starts one where none runs."""
        return self._worker()

    def _worker(self) -> ScriptProcess:
        if self._process is not None and not self._process.alive:
            self.forget_variables()
        if self._process is None:
            self._process = self._workers.take(self.engine)
            if self.debugger is not None:
                self.debugger.adopt(self._process)
        return self._process
