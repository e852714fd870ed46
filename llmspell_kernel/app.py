"""The kernel: builds doors, dispatch and services into one, serves until it is told to stop, drains, ends."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from llmspell_kernel.active_requests import ActiveRequests
from llmspell_kernel.clients import Clients
from llmspell_kernel.dispatch import Dispatcher
from llmspell_kernel.drain import Drain
from llmspell_kernel.idleness import Idleness
from llmspell_kernel.live_settings import LiveSettings
from llmspell_kernel.pins import Pins
from llmspell_kernel.request import Request
from llmspell_kernel.routes import routes
from llmspell_kernel.services.graph import Services
from llmspell_profiles.loading.loader import LoadedSettings
from llmspell_profiles.schema.settings import Settings
from llmspell_protocol.child import Child
from llmspell_protocol.connection import ConnectionInfo
from llmspell_protocol.errors import LlmspellError

if TYPE_CHECKING:
    from llmspell_kernel.doors.door import Door
    from llmspell_kernel.logs import KernelLog
    from llmspell_kernel.services.events.export import WriteEvent
    from llmspell_kernel.services.hooks.component import Component
    from llmspell_kernel.services.kernel import KernelFiles, KernelService
    from llmspell_kernel.services.notebooks import MakeDoor, Notebooks
    from llmspell_protocol.areas.notebook import NotebookSummary

log = logging.getLogger(__name__)

_SLOW_READERS_S = 2.0
"""How long the doors stay open for clients that have not taken their replies yet and take nothing."""


class Kernel:
    """One kernel; construct it, then `serve`, all on one loop.

    A kernel that is not `standing` lives for one command: it loads no pinned models and never ends by itself.
    `make_door` makes the doors of notebooks that share it; without it there are none.
    """

    def __init__(
        self,
        loaded: LoadedSettings,
        info: ConnectionInfo,
        doors: Sequence[Door],
        *,
        environment: Mapping[str, str],
        reload: Callable[[], LoadedSettings],
        kernel_log: KernelLog | None = None,
        files: KernelFiles | None = None,
        standing: bool = True,
        idle_timeout: bool = True,
        write_event: WriteEvent | None = None,
        make_door: MakeDoor | None = None,
    ) -> None:
        self._started = (time.time(), time.monotonic(), time.process_time())
        self._info = info
        self._files = files
        self._doors = doors
        self._make_door = make_door
        self._log = kernel_log
        self._standing = standing
        self._ends_idle = idle_timeout and standing
        self._settings = LiveSettings(loaded, reload)
        self._clients = Clients(limit=loaded.settings.kernel.max_clients)
        self.requests = ActiveRequests()
        self.drain = Drain(self.requests, standing=standing)
        self._services = Services(self._settings, loaded.home, environment, self._submit, loaded.source, write_event)
        self._pins = Pins(lambda: self._services.models)
        self._idleness = Idleness(self._in_use, self._end_idle)
        self._dispatcher = Dispatcher(
            routes(
                self._services,
                self._settings,
                lambda: self.service,
                lambda: self.drain.begun,
                lambda: self.notebooks,
                lambda: self.notebooks_if_made,
            ),
            requests=self.requests,
            clients=self._clients,
            drain=self.drain,
            observe=self._services.observe,
            on_failure=self._failed,
        )
        # After dispatch, which cancels what would still use it.
        self._clients.on_gone(self._services.forget)
        self._clients.on_change(self._idleness.look)
        self.requests.on_change(self._idleness.look)
        self._settings.on_change(self._take_over)

    @cached_property
    def service(self) -> KernelService:
        """What the kernel tells about itself and how it is steered; made when asked for, which few commands do."""
        from llmspell_kernel.services.kernel import KernelService

        return KernelService(
            info=self._info,
            files=self._files,
            started=self._started,
            settings=self._settings,
            requests=self.requests,
            clients=self._clients,
            drain=self.drain,
            resident_models=self._services.resident_models,
            dropped=self._dropped,
            notebooks=self._notebook_summaries,
            rag=lambda: self._services.rag_if_made,
        )

    @cached_property
    def notebooks(self) -> Notebooks:
        """Notebooks that share the kernel; made when asked for, which few kernels are."""
        from llmspell_kernel.services.notebooks import Notebooks

        return Notebooks(
            self._make_door,
            self._services.contexts,
            self.requests,
            self._clients,
            self._submit,
            self._run_files,
        )

    @property
    def notebooks_if_made(self) -> Notebooks | None:
        """The notebooks, where there may be some."""
        made: Notebooks | None = self.__dict__.get("notebooks")
        return made

    def _notebook_summaries(self) -> Sequence[NotebookSummary]:
        if self.notebooks_if_made is None:
            return ()
        from llmspell_kernel.services.notebook_figures import summaries

        return summaries(self.notebooks_if_made, self._services.model_users)

    @property
    def _run_files(self) -> tuple[str, Path] | None:
        """Its id and run directory, where it has some."""
        if self._files is None or self._files.connection_file is None or self._info.id is None:
            return None
        return self._info.id, self._files.connection_file.parent

    async def serve(self, on_ready: Callable[[], None]) -> None:
        """Answers requests until the drain begins; everything that was started has ended when it returns."""
        try:
            for door in self._doors:
                door.open(self._submit, self._clients)
            if self._standing:
                self._pins.change((), self._settings().models.pin)
            on_ready()
            self._limit_idleness()
            await self._tell_of_start()
            await self.drain.wait_begun()
            await self._tell_of_end()
            await self.drain.finish()
            if self.notebooks_if_made is not None:
                await self.notebooks_if_made.close_all()
            await asyncio.gather(*(door.all_taken(_SLOW_READERS_S) for door in self._doors))
        finally:
            self._pins.cancel()
            if self.notebooks_if_made is not None:
                await self.notebooks_if_made.close_all()
            await self._services.close()
            for door in self._doors:
                door.close()

    def expect_script(self, launched: Child | None = None) -> None:
        """A script will come soon: its worker, launched already or not, gets ready beside everything else."""
        self._services.contexts.prepare(launched)

    def say_first(self, text: str) -> None:
        """The first cell of the kernel's own notebook shows this line on its standard error."""
        self._services.contexts.shared.first_line = text

    def interrupt(self) -> None:
        """Interrupts what the kernel's own notebook runs, as `interrupt_request` does: a frontend's SIGINT."""
        self._services.contexts.interrupt()

    def _submit(self, request: Request) -> asyncio.Task[None]:
        return self._dispatcher.submit(request)

    def _dropped(self) -> Counter[str]:
        doors = [*self._doors, *(one.door for one in self.notebooks_if_made or () if one.door is not None)]
        return sum((Counter(door.dropped) for door in doors), Counter())

    async def _failed(self, request: Request, error: LlmspellError) -> None:
        hooks = self._services.hooks_if_made
        if hooks is not None:
            await hooks.failed(request, error)

    async def _tell_of_start(self) -> None:
        """Calls hooks of the configuration, and exports that the kernel has begun, where there are such."""
        given = self._settings().given
        if "events" in given:
            self._services.events.publish("system.started", {"kernel": self._info.id}, request=None)
        if "hooks" in given:
            await self._services.hooks.tell("SystemStartup", None, component=_system(), data={"kernel": self._info.id})

    async def _tell_of_end(self) -> None:
        """Scripts that run still hear of it; who follows events follows them no more."""
        hooks, events = self._services.hooks_if_made, self._services.events_if_made
        if hooks is not None:
            await hooks.tell("SystemShutdown", None, component=_system(), data={"kernel": self._info.id})
        if events is not None:
            events.publish("system.stopping", {"kernel": self._info.id}, request=None)
            events.end_streams()

    def _take_over(self, old: Settings, new: Settings) -> None:
        """Gives new settings to what keeps some; everything else reads them when it needs them."""
        if self._log is not None:
            self._log.apply(new)
        self._clients.limit = new.kernel.max_clients
        if new.kernel.idle_timeout_seconds != old.kernel.idle_timeout_seconds:
            self._limit_idleness()
        self._services.reconfigure(new, self.requests.tasks() | self._pins.tasks)
        self._tell_of_change(old, new)
        if self._standing:
            self._pins.change(old.models.pin, new.models.pin)

    def _tell_of_change(self, old: Settings, new: Settings) -> None:
        hooks, events = self._services.hooks_if_made, self._services.events_if_made
        if hooks is None and events is None:
            return
        told = {"sections": [name for name, value in new.items() if getattr(old, name, None) != value]}
        if hooks is not None:
            hooks.notify("ConfigurationChange", None, component=_system(), data=told)
        if events is not None:
            events.publish("system.configuration_changed", told, request=None)

    def _in_use(self) -> bool:
        return bool(self._clients) or bool(self.requests)

    def _limit_idleness(self) -> None:
        if self._ends_idle:
            self._idleness.limit(float(self._settings().kernel.idle_timeout_seconds))

    def _end_idle(self) -> None:
        log.info("no client and no work for %d s: ending", self._settings().kernel.idle_timeout_seconds)
        self.drain.begin(0)


def _system() -> Component:
    # Only where a hook may be called.
    from llmspell_kernel.services.hooks.component import Component

    return Component("system", "kernel")
