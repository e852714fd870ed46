"""The processes of script workers: one kept ready, those in use, those that end. Knows no contexts and no requests."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from llmspell_kernel.request import Submit
from llmspell_kernel.scripting.engines import DEFAULT, Engine
from llmspell_kernel.scripting.launch import launch
from llmspell_kernel.scripting.limits import ScriptLimits
from llmspell_kernel.scripting.process import ScriptProcess
from llmspell_protocol.background import of_no_request

if TYPE_CHECKING:
    from llmspell_profiles.schema.settings import Settings
    from llmspell_protocol.child import Child


class Workers:
    """Starts and ends script workers; belongs to the loop. `on_end` hears the name of each that ends.

    `environment` is the kernel's own, of which settings may name variables for scripts.
    """

    def __init__(
        self,
        settings: Callable[[], Settings],
        submit: Submit,
        log_directory: Path | None,
        on_end: Callable[[str], None] | None,
        environment: Mapping[str, str],
    ) -> None:
        self._settings = settings
        self._submit = submit
        self._log_directory = log_directory
        self._on_end = on_end
        self._environment = environment
        self._numbers = count(1)
        self._spare: ScriptProcess | None = None
        self._processes: dict[str, ScriptProcess] = {}
        self._endings: set[asyncio.Task[None]] = set()

    @property
    def pids(self) -> Sequence[int]:
        """The process ids of the workers that have not been told to end, oldest first."""
        return tuple(process.pid for process in self._processes.values())

    def named(self, name: str) -> ScriptProcess | None:
        """The worker of this name that can still be asked."""
        process = self._processes.get(name)
        return process if process is not None and process.alive else None

    def prepare(self, launched: Child | None = None) -> None:
        """Readies one worker ahead of its use: the one that was launched already, or a new one."""
        if self._spare is None:
            self._spare = self._start(launched or launch(self._log_directory))

    def take(self, engine: Engine) -> ScriptProcess:
        """A worker for a new context: the one that was readied, where it fits, or a new one."""
        spare, self._spare = self._spare, None
        if spare is not None:
            if engine is DEFAULT and spare.alive and spare.limits == self._limits():
                return spare
            self.end(spare)
        return self._start(launch(self._log_directory, engine))

    def end(self, process: ScriptProcess) -> None:
        """Ends a worker without a wait for it; `close` waits. Nothing for one that was told before."""
        if self._processes.pop(process.name, None) is None:
            return
        if self._on_end is not None:
            self._on_end(process.name)
        ending = of_no_request(asyncio.get_running_loop().create_task, process.end(), name=f"end {process.name}")
        self._endings.add(ending)
        ending.add_done_callback(self._endings.discard)

    async def close(self) -> None:
        """Ends every worker."""
        self._spare = None
        for process in tuple(self._processes.values()):
            self.end(process)
        if self._endings:
            await asyncio.wait(set(self._endings))

    def _start(self, child: Child) -> ScriptProcess:
        process = ScriptProcess(child, self._limits(), self._submit, name=f"script-{os.getpid()}-{next(self._numbers)}")
        self._processes[process.name] = process
        return process

    def _limits(self) -> ScriptLimits:
        return ScriptLimits.from_settings(self._settings(), self._environment)
