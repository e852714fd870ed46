"""Which script contexts exist: the shared one, whose cells run one after another, and isolated runs side by side.

Starts workers and ends them; what a request says and how an answer looks is the handlers' business.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from llmspell_kernel.context import Request, Submit
from llmspell_kernel.scripting.launch import launch
from llmspell_kernel.scripting.limits import ScriptLimits
from llmspell_kernel.scripting.outcome import Result
from llmspell_kernel.scripting.process import Job, ScriptProcess
from llmspell_protocol.errors import WorkerCrashed

if TYPE_CHECKING:
    from llmspell_profiles.schema.settings import Settings
    from llmspell_protocol.child import Child

INTROSPECTION_S = 0.8
"""A console waits one second for is_complete; a worker that computes can't answer before."""


class Aborted(Exception):
    """A cell before this one failed, and its client wanted the rest not to run."""


class _Turn:
    def __init__(self, request: Request) -> None:
        self.request = request
        self.aborted = False


class Contexts:
    """All script workers of a kernel; belongs to the loop."""

    def __init__(
        self,
        settings: Callable[[], Settings],
        submit: Submit,
        log_directory: Path | None,
        *,
        on_context_end: Callable[[str], None] | None = None,
    ) -> None:
        self.execution_count = 0
        """The number of the last cell of the shared context that counted."""
        self._settings = settings
        self._submit = submit
        self._log_directory = log_directory
        self._on_context_end = on_context_end
        self._numbers = count(1)
        self._shared: ScriptProcess | None = None
        self._spare: ScriptProcess | None = None
        self._turns: list[_Turn] = []
        self._lock = asyncio.Lock()
        self._running: Request | None = None
        self._isolated = 0
        self._room = asyncio.Condition()
        self._processes: set[ScriptProcess] = set()
        self._endings: set[asyncio.Task[None]] = set()

    def prepare(self, launched: Child | None = None) -> None:
        """Readies one worker ahead of the first request: the one that was launched already, or a new one."""
        if self._spare is None and self._shared is None:
            self._spare = self._spawn(launched)

    @asynccontextmanager
    async def turn(self, request: Request) -> AsyncIterator[None]:
        """One cell's turn in the shared context, in the order of arrival.

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

    async def run_shared(self, request: Request, job: Job, on_output: Callable[[str, str], None]) -> Result:
        """Runs a cell; call it within `turn`. Raises as `ScriptProcess.execute`."""
        process = self._shared_process()
        try:
            return await process.execute(request, job, on_output)
        finally:
            if not process.alive:
                self._forget_shared()

    async def run_isolated(self, request: Request, job: Job, on_output: Callable[[str, str], None]) -> Result:
        """Runs a script in a worker of its own, which ends with it; waits while there are too many of them."""
        async with self._room:
            await self._room.wait_for(lambda: self._isolated < self._settings().runtime.max_concurrent_scripts)
            self._isolated += 1
        try:
            process = self._take()
            try:
                return await process.execute(request, job, on_output)
            finally:
                self._end_later(process)
        finally:
            self._isolated -= 1
            self._tell_room()

    def interrupt(self) -> bool:
        """Cancels the cell that runs in the shared context; False if none does."""
        if self._running is None:
            return False
        self._running.cancel("interrupted by the user")
        return True

    async def reset(self) -> None:
        """Forgets the shared context's variables."""
        async with self._lock:
            process, self._shared = self._shared, None
            if process is not None:
                self._end_later(process)

    def forget_variables(self) -> None:
        """The same for the cell that has its turn now, before it runs."""
        self._forget_shared()

    async def is_complete(self, code: str) -> str:
        """`complete`, `incomplete`, `invalid`; `unknown` while the worker computes."""
        try:
            async with asyncio.timeout(INTROSPECTION_S):
                frame = await self._shared_process().ask("is_complete", code=code)
        except (TimeoutError, WorkerCrashed):
            return "unknown"
        return str(frame["status"])

    async def complete(self, before_cursor: str) -> tuple[list[str], int]:
        """Names that could stand at the cursor, and how many characters before it they replace."""
        try:
            async with asyncio.timeout(INTROSPECTION_S):
                frame = await self._shared_process().ask("complete", code=before_cursor)
        except (TimeoutError, WorkerCrashed):
            return [], 0
        return list(frame["matches"]), int(frame["replaced"])

    def reconfigure(self, settings: Settings, running: Collection[asyncio.Task[None]]) -> None:
        """Scripts that wait may have room now; those that start ask for the settings themselves."""
        self._tell_room()

    async def close(self) -> None:
        """Ends every worker."""
        for process in tuple(self._processes):
            self._end_later(process)
        self._shared = self._spare = None
        if self._endings:
            await asyncio.wait(set(self._endings))

    def _shared_process(self) -> ScriptProcess:
        if self._shared is not None and not self._shared.alive:
            self._forget_shared()
        if self._shared is None:
            self._shared = self._take()
        return self._shared

    def _forget_shared(self) -> None:
        process, self._shared = self._shared, None
        if process is not None:
            self._end_later(process)

    def _take(self) -> ScriptProcess:
        spare, self._spare = self._spare, None
        if spare is not None:
            if spare.alive and spare.limits == ScriptLimits.from_settings(self._settings()):
                return spare
            self._end_later(spare)
        return self._spawn()

    def _spawn(self, launched: Child | None = None) -> ScriptProcess:
        limits = ScriptLimits.from_settings(self._settings())
        context = f"script-{os.getpid()}-{next(self._numbers)}"
        process = ScriptProcess(launched or launch(self._log_directory), limits, self._submit, context=context)
        self._processes.add(process)
        return process

    def _end_later(self, process: ScriptProcess) -> None:
        """Ends a worker without anybody having to wait for it; `close` does."""
        if process not in self._processes:
            return
        self._processes.discard(process)
        if self._on_context_end is not None:
            self._on_context_end(process.context)
        ending = asyncio.get_running_loop().create_task(process.end(), name=f"end {process.context}")
        self._endings.add(ending)
        ending.add_done_callback(self._endings.discard)

    def _tell_room(self) -> None:
        async def tell() -> None:
            async with self._room:
                self._room.notify_all()

        telling = asyncio.get_running_loop().create_task(tell())
        self._endings.add(telling)
        telling.add_done_callback(self._endings.discard)
