"""The kernel: puts sockets, dispatch and parts together, serves until it is told to stop, drains, ends."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import zmq

from llmspell_kernel.context import Request
from llmspell_kernel.dispatch import Dispatcher
from llmspell_kernel.doors.binding import Sockets
from llmspell_kernel.doors.zmq import FrontDoor
from llmspell_kernel.idleness import Idleness
from llmspell_kernel.parts import Parts
from llmspell_profiles.loading.loader import LoadedSettings
from llmspell_profiles.schema.settings import Settings
from llmspell_protocol.child import Child
from llmspell_protocol.connection import ConnectionInfo
from llmspell_protocol.version import VERSION

if TYPE_CHECKING:
    from llmspell_kernel.logs import KernelLog
    from llmspell_protocol.areas.kernel import (
        KernelConfigReply,
        KernelMetricsReply,
        KernelReloadReply,
        KernelStatusReply,
    )

log = logging.getLogger(__name__)

_SLOW_READERS_S = 2.0
"""How long the sockets stay open for clients that have not taken their replies yet and take nothing."""


class KernelFiles(NamedTuple):
    """Where this kernel's files are, as `status` tells; None for one that lives inside a command."""

    connection_file: Path | None = None
    pid_file: Path | None = None
    log_file: Path | None = None


class Kernel:
    """One kernel; construct it, then `serve`, all on one loop.

    A kernel that is not `standing` lives for one command: it loads no pinned models and never ends by itself.
    """

    def __init__(
        self,
        loaded: LoadedSettings,
        info: ConnectionInfo,
        context: zmq.Context[zmq.Socket[bytes]],
        *,
        environment: Mapping[str, str],
        reload: Callable[[], LoadedSettings],
        kernel_log: KernelLog | None = None,
        files: KernelFiles | None = None,
        standing: bool = True,
        idle_timeout: bool = True,
    ) -> None:
        self.info = info
        self.files = files or KernelFiles()
        self._loaded = loaded
        self._reload = reload
        self._log = kernel_log
        self._standing = standing
        self._ends_idle = idle_timeout and standing
        self._started = time.time()
        self._cpu_seen = (time.monotonic(), time.process_time())
        self._stopping = asyncio.Event()
        self._drain_until = 0.0
        self._keep: set[Request] = set()
        self._pinning: set[asyncio.Task[None]] = set()
        self._dispatcher = Dispatcher(max_clients=loaded.settings.kernel.max_clients)
        self._front_door = FrontDoor(info, context, self._dispatcher)
        self._channels = self._front_door.channels
        self._parts = Parts(lambda: self._loaded.settings, loaded.home, environment, self._dispatcher.submit)
        self._idleness = Idleness(self._in_use, self._end_idle)
        self._dispatcher.attach(
            self._parts.handlers(self), self._front_door.clients, self._parts.forget, self._idleness.look
        )

    async def serve(self, sockets: Sockets, on_ready: Callable[[], None]) -> None:
        """Answers requests until `stop`; everything that was started has ended when it returns."""
        self._channels.bind(sockets)
        self._pin(self._loaded.settings.models.pin)
        try:
            on_ready()
            self._limit_idleness()
            await self._stopping.wait()
            await self._dispatcher.drain(self._drain_until, self._keep)
            await self._channels.all_taken(_SLOW_READERS_S)
        finally:
            for task in self._pinning:
                task.cancel()
            await self._parts.close()
            self._channels.close()

    def expect_script(self, launched: Child | None = None) -> None:
        """A script will come soon: its worker, launched already or not, gets ready beside everything else."""
        self._parts.contexts.prepare(launched)

    def stop(self, *, drain_s: float, keep: Request | None = None) -> None:
        """Begins to drain and end; a second call can only leave less time. Returns at once."""
        until = asyncio.get_running_loop().time() + drain_s
        if keep is not None:
            self._keep.add(keep)
        if self._stopping.is_set():
            self._dispatcher.drain_sooner(until)
            return
        if self._standing:
            # A kernel inside a command ends with every command, which is no news on a user's terminal.
            running = self._working() - len(self._keep)
            log.info("shutting down; running requests: %d, time for them: %g s", running, drain_s)
        self._drain_until = until
        self._dispatcher.draining = True
        self._stopping.set()

    @property
    def stopping(self) -> bool:
        """Whether it drains."""
        return self._stopping.is_set()

    @property
    def drain_timeout_s(self) -> float:
        """How long running work may go on when the kernel is stopped."""
        return float(self._loaded.settings.kernel.drain_timeout_seconds)

    def interrupt(self) -> None:
        """Interrupts the shared context, as `interrupt_request` does: a frontend's SIGINT."""
        self._parts.contexts.interrupt()

    @property
    def active(self) -> Mapping[str, Request]:
        """Unfinished requests by id."""
        return self._dispatcher.active

    def cancel_early(self, msg_id: str, session: str) -> None:
        """Cancels a request of this session when it comes, if that is soon."""
        self._dispatcher.early_cancels.remember(msg_id, session)

    def status(self, asked_by: str) -> KernelStatusReply:
        """Id, state, counts, times and places; the request that asks is none that runs, its client none that uses it.

        `Idle` is when the idle timeout would count, if whoever asks left.
        """
        from llmspell_protocol.areas.kernel import KernelStatusReply

        working = self._working() - 1
        state: Literal["Healthy", "Busy", "Idle", "Shutting Down"] = "Idle"
        if self._dispatcher.draining:
            state = "Shutting Down"
        elif working > 0:
            state = "Busy"
        elif any(client != asked_by for client in self._front_door.clients()):
            state = "Healthy"
        return KernelStatusReply(
            id=self.info.id,
            pid=os.getpid(),
            state=state,
            version=VERSION,
            profile=self._loaded.profile,
            config_file=_text(self._loaded.source),
            transport=self.info.transport,
            port=self.info.shell_port or None,
            ports=self.info.ports,
            connection_file=_text(self.files.connection_file),
            pid_file=_text(self.files.pid_file),
            log_file=_text(self.files.log_file),
            started_at=_iso(self._started),
            clients=len(self._channels.clients),
            active_requests=working,
            models=list(self._parts.residents()),
            metrics=self.metrics(),
        )

    def metrics(self) -> KernelMetricsReply:
        """Figures of the kernel's process; `cpu_percent` is since the last time it was asked for."""
        # It takes 20 ms to import, and only who asks for figures needs it.
        import psutil

        from llmspell_protocol.areas.kernel import KernelMetricsReply

        process = psutil.Process()
        now, cpu = time.monotonic(), time.process_time()
        before, cpu_before = self._cpu_seen
        self._cpu_seen = (now, cpu)
        return KernelMetricsReply(
            cpu_percent=round(100 * (cpu - cpu_before) / max(now - before, 1e-3), 1),
            memory_bytes=process.memory_info().rss,
            memory_percent=round(process.memory_percent(), 2),
            open_files=process.num_fds(),
            uptime_s=round(time.time() - self._started, 3),
            last_activity=_iso(self._dispatcher.last_activity),
            active_connections=len(self._channels.clients),
            requests_handled=self._dispatcher.handled,
            messages_dropped=dict(self._channels.dropped),
            models_loaded=len(self._parts.residents()),
            queue=sum(self._parts.residents().values()),
        )

    def reload(self) -> KernelReloadReply:
        """Reads the configuration again and applies what a running kernel can change.

        Raises:
            LlmspellError: it doesn't validate; the old settings stay.
        """
        # Only a reload needs it.
        from llmspell_kernel.reload import plan
        from llmspell_protocol.areas.kernel import KernelReloadReply

        fresh = self._reload()
        old = self._loaded.settings
        planned = plan(old, fresh.settings)
        self._loaded = fresh._replace(settings=planned.settings, kept=tuple(planned.restart_needed))
        if planned.settings != old:
            self._take_over(old)
        log.info(
            "configuration reloaded; applied: %s; at the next load: %s; needs a restart: %s",
            *(", ".join(keys) or "nothing" for keys in planned[1:]),
        )
        return KernelReloadReply(
            applied=planned.applied,
            at_next_load=planned.at_next_load,
            restart_needed=planned.restart_needed,
            warnings=fresh.warnings,
        )

    def configuration(self, section: str | None) -> KernelConfigReply:
        """The settings in force, or the part that a dotted path names, with where they come from; no secrets.

        Raises:
            NotFound: there is no such section.
        """
        from llmspell_kernel.configuration import shown_configuration

        return shown_configuration(self._loaded, section)

    def log_lines(self, count: int) -> list[str]:
        """The last lines of the kernel's log; none where it has no log file."""
        # Only who asks for them needs it.
        from llmspell_protocol.log_lines import last_lines

        return [] if self.files.log_file is None else last_lines(self.files.log_file, count)

    def _take_over(self, old: Settings) -> None:
        """Tells everybody who keeps settings that they have changed; all others read them when they need them."""
        settings = self._loaded.settings
        if self._log is not None:
            self._log.apply(settings)
        self._dispatcher.max_clients = settings.kernel.max_clients
        if settings.kernel.idle_timeout_seconds != old.kernel.idle_timeout_seconds:
            self._limit_idleness()
        running = {request.task for request in self._dispatcher.active.values() if request.task is not None}
        self._parts.settings_changed(running | self._pinning)
        before, now = old.models.pin, settings.models.pin
        self._pin([model for model in now if model not in before], [model for model in before if model not in now])

    def _pin(self, models: Sequence[str], no_longer: Sequence[str] = ()) -> None:
        if self._standing and (models or no_longer):
            task = asyncio.create_task(self._parts.models.change_pins(models, no_longer))
            self._pinning.add(task)
            task.add_done_callback(self._pinning.discard)

    def _working(self) -> int:
        return len(self._dispatcher.active)

    def _in_use(self) -> bool:
        return bool(self._channels.clients or self._dispatcher.active)

    def _limit_idleness(self) -> None:
        if self._ends_idle:
            self._idleness.limit(float(self._loaded.settings.kernel.idle_timeout_seconds))

    def _end_idle(self) -> None:
        log.info("no client and no work for %d s: ending", self._loaded.settings.kernel.idle_timeout_seconds)
        self.stop(drain_s=0)


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def _text(path: Path | None) -> str | None:
    return str(path) if path is not None else None
