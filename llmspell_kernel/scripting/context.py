"""One script context: its worker, whose turn it is, how many cells it has counted, and what runs in it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol

from llmspell_kernel.request import Request
from llmspell_kernel.scripting.engines import Engine
from llmspell_kernel.scripting.outcome import Result
from llmspell_kernel.scripting.process import Job, ScriptProcess
from llmspell_kernel.scripting.scope import OnOutput
from llmspell_kernel.scripting.workers import Workers
from llmspell_protocol.errors import WorkerCrashed

INTROSPECTION_S = 0.8
"""A console waits one second for is_complete; a worker that computes can't answer before."""


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

    def __init__(self, id: str, engine: Engine, workers: Workers) -> None:
        self.id = id
        self.engine = engine
        self.execution_count = 0
        """The number of the last cell that counted."""
        self._workers = workers
        self._process: ScriptProcess | None = None
        self._turns: list[_Turn] = []
        self._lock = asyncio.Lock()
        self._running: Request | None = None
        self.debugger: ContextDebugger | None = None
        """What follows its workers, where a frontend debugs it."""

    @property
    def pid(self) -> int | None:
        """The worker's process id; None where none has been needed yet, or it has died."""
        return self._process.pid if self._process is not None and self._process.alive else None

    @property
    def worker_name(self) -> str:
        """The name of its worker, which functions of its script have as their context; starts one where none runs."""
        return self._worker().name

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

    def forget_variables(self) -> None:
        """Ends the worker; what runs next gets a new one."""
        process, self._process = self._process, None
        if process is not None:
            self._workers.end(process)
            if self.debugger is not None:
                self.debugger.worker_gone()

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
