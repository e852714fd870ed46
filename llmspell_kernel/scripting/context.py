"""One script context: its worker, whose turn it is, how many cells it has counted, and what runs in it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from llmspell_kernel.request import Request
from llmspell_kernel.scripting.engines import Engine
from llmspell_kernel.scripting.outcome import Result
from llmspell_kernel.scripting.process import Job, ScriptProcess
from llmspell_kernel.scripting.scope import OnOutput
from llmspell_kernel.scripting.workers import Workers
from llmspell_protocol.errors import WorkerCrashed

INTROSPECTION_S = 0.8
"""A console waits one second for is_complete; a worker that computes can't answer before."""


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

    def __init__(self, id: str, engine: Engine, workers: Workers, directory: str | None = None) -> None:
        self.id = id
        self.directory = directory
        """Where cells run that don't say where; None: in the kernel's own directory."""
        self.engine = engine
        self.execution_count = 0
        """The number of the last cell that counted."""
        self._workers = workers
        self._process: ScriptProcess | None = None
        self._turns: list[_Turn] = []
        self._lock = asyncio.Lock()
        self._running: Request | None = None

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

    def interrupt(self) -> bool:
        """Cancels the cell that has its turn; False if none does."""
        if self._running is None:
            return False
        self._running.cancel("interrupted by the user")
        return True

    def end(self) -> None:
        """Cells that run or wait end with an error, the variables are gone, and the next cell is the first."""
        for turn in tuple(self._turns):
            turn.request.cancel("the context has ended")
        self.forget_variables()
        self.execution_count = 0

    def forget_variables(self) -> None:
        """Ends the worker; what runs next gets a new one."""
        process, self._process = self._process, None
        if process is not None:
            self._workers.end(process)

    async def is_complete(self, code: str) -> str:
        """`complete`, `incomplete`, `invalid`; `unknown` while the worker computes."""
        try:
            async with asyncio.timeout(INTROSPECTION_S):
                frame = await self._worker().ask("is_complete", code=code)
        except (TimeoutError, WorkerCrashed):
            return "unknown"
        return str(frame["status"])

    async def complete(self, before_cursor: str) -> tuple[list[str], int]:
        """Names that could stand at the cursor, and how many characters before it they replace."""
        try:
            async with asyncio.timeout(INTROSPECTION_S):
                frame = await self._worker().ask("complete", code=before_cursor)
        except (TimeoutError, WorkerCrashed):
            return [], 0
        return list(frame["matches"]), int(frame["replaced"])

    async def inspect(self, code: str, cursor: int) -> str | None:
        """What is known about the name at this character; None: nothing, or the worker computes."""
        try:
            async with asyncio.timeout(INTROSPECTION_S):
                frame = await self._worker().ask("inspect", code=code, cursor=cursor)
        except (TimeoutError, WorkerCrashed):
            return None
        return None if frame["text"] is None else str(frame["text"])

    def _worker(self) -> ScriptProcess:
        if self._process is not None and not self._process.alive:
            self.forget_variables()
        if self._process is None:
            self._process = self._workers.take(self.engine)
        return self._process
