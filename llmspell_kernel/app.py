"""The kernel: puts sockets, dispatch and parts together, serves until it is told to stop, drains, ends."""

from __future__ import annotations

import asyncio
import logging
import os
import resource
import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import zmq

from llmspell_kernel.binding import Sockets
from llmspell_kernel.context import Content, Request
from llmspell_kernel.dispatch import Dispatcher
from llmspell_kernel.front_door import FrontDoor
from llmspell_kernel.parts import Parts
from llmspell_profiles.loader import LoadedSettings
from llmspell_protocol.child import Child
from llmspell_protocol.connection import ConnectionInfo
from llmspell_protocol.version import VERSION

log = logging.getLogger(__name__)


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
        files: KernelFiles | None = None,
        standing: bool = True,
        idle_timeout: bool = True,
    ) -> None:
        self.info = info
        self.files = files or KernelFiles()
        self._loaded = loaded
        self._reload = reload
        self._standing = standing
        self._idle_timeout = idle_timeout and standing
        self._started = time.time()
        self._cpu_seen = (time.monotonic(), time.process_time())
        self._stopping = asyncio.Event()
        self._drain_s = 0.0
        self._keep: Request | None = None
        self._dispatcher = Dispatcher(max_clients=loaded.settings.kernel.max_clients)
        self._front_door = FrontDoor(info, context, self._dispatcher)
        self._channels = self._front_door.channels
        self._parts = Parts(lambda: self._loaded.settings, loaded.home, environment, self._dispatcher.submit)
        self._dispatcher.attach(self._parts.handlers(self), self._front_door.clients, self._parts.forget)

    async def serve(self, sockets: Sockets, on_ready: Callable[[], None]) -> None:
        """Answers requests until `stop`; everything that was started has ended when it returns."""
        self._channels.bind(sockets)
        pinning = asyncio.create_task(self._load_pinned())
        try:
            on_ready()
            if self._idle_timeout and self._loaded.settings.kernel.idle_timeout_seconds:
                self._watch_idleness()
            await self._stopping.wait()
            await self._dispatcher.drain(self._drain_s, keep=self._keep)
        finally:
            pinning.cancel()
            await self._parts.close()
            self._channels.close()

    def expect_script(self, launched: Child | None = None) -> None:
        """A script will come soon: its worker, launched already or not, gets ready beside everything else."""
        self._parts.contexts.prepare(launched)

    def stop(self, *, drain_s: float, keep: Request | None = None) -> None:
        """Begins to drain and end; a second call leaves no more time. Returns at once."""
        self._dispatcher.draining = True
        self._drain_s = 0.0 if self._stopping.is_set() else drain_s
        self._keep = keep
        if self._stopping.is_set():
            for request in tuple(self._dispatcher.active.values()):
                if request is not keep:
                    request.cancel("the kernel is shutting down")
        self._stopping.set()

    def interrupt(self) -> None:
        """Interrupts the shared context, as `interrupt_request` does: a frontend's SIGINT."""
        self._parts.contexts.interrupt()

    @property
    def active(self) -> Mapping[str, Request]:
        """Unfinished requests by id."""
        return self._dispatcher.active

    def status(self) -> Content:
        """Id, state, counts, times and places."""
        working = len(self._dispatcher.active) - 1
        state = "Shutting Down" if self._dispatcher.draining else "Busy" if working > 0 else "Idle"
        return {
            "id": self.info.id,
            "pid": os.getpid(),
            "state": state,
            "version": VERSION,
            "profile": self._loaded.profile,
            "config_file": _text(self._loaded.source),
            "transport": self.info.transport,
            "port": self.info.shell_port or None,
            "ports": dict(self.info.ports),
            "connection_file": _text(self.files.connection_file),
            "pid_file": _text(self.files.pid_file),
            "log_file": _text(self.files.log_file),
            "started_at": datetime.fromtimestamp(self._started, UTC).isoformat().replace("+00:00", "Z"),
            "clients": len(self._channels.clients),
            "active_requests": working,
            "models": list(self._parts.residents()),
            "metrics": self.metrics(),
        }

    def metrics(self) -> Content:
        """Figures of the kernel's process; `cpu_percent` is since the last time it was asked for."""
        now, cpu = time.monotonic(), time.process_time()
        before, cpu_before = self._cpu_seen
        self._cpu_seen = (now, cpu)
        return {
            "cpu_percent": round(100 * (cpu - cpu_before) / max(now - before, 1e-3), 1),
            "memory_bytes": _resident_bytes(),
            "uptime_s": round(time.time() - self._started, 3),
            "last_activity": datetime.fromtimestamp(self._dispatcher.last_activity, UTC)
            .isoformat()
            .replace("+00:00", "Z"),
            "active_connections": len(self._channels.clients),
            "requests_handled": self._dispatcher.handled,
            "messages_dropped": dict(self._channels.dropped),
            "models_loaded": len(self._parts.residents()),
            "queue": sum(self._parts.residents().values()),
        }

    def reload(self) -> Content:
        """Reads the configuration again; what doesn't validate is refused and the old settings stay.

        `engines` and `runtime` are read whenever they are needed, but for the log level; all else at the start alone.
        """
        fresh = self._reload()
        settings = self._loaded.settings
        runtime = fresh.settings.runtime.model_copy(update={"log_level": settings.runtime.log_level})
        settings = settings.model_copy(update={"engines": fresh.settings.engines, "runtime": runtime})
        before, now, wanted = (_leaves(each.model_dump()) for each in (self._loaded.settings, settings, fresh.settings))
        self._loaded = fresh._replace(settings=settings)
        return {
            "applied": _differing(before, now),
            "restart_needed": _differing(now, wanted),
            "warnings": list(fresh.warnings),
        }

    def configuration(self, section: str | None) -> Content:
        """The settings in force, or the part that a dotted path names, with where they come from; no secrets.

        Raises:
            NotFound: there is no such section.
        """
        from llmspell_kernel.configuration import shown_configuration

        return shown_configuration(self._loaded, section)

    def log_lines(self, count: int) -> list[str]:
        """The last lines of the kernel's log; none where it has no log file."""
        if self.files.log_file is None or not self.files.log_file.exists():
            return []
        with self.files.log_file.open("rb") as file:
            file.seek(max(0, self.files.log_file.stat().st_size - 512 * max(count, 1)))
            return file.read().decode("utf-8", "replace").splitlines()[-count:]

    async def _load_pinned(self) -> None:
        if self._standing and self._loaded.settings.models.pin:
            await self._parts.models.load_pinned()

    def _watch_idleness(self) -> None:
        limit_s = self._loaded.settings.kernel.idle_timeout_seconds
        quiet_s = time.time() - self._dispatcher.last_activity
        if not self._channels.clients and not self._dispatcher.active and quiet_s >= limit_s:
            log.info("no client and no work for %d s: ending", limit_s)
            self.stop(drain_s=0)
            return
        wait_s = limit_s - quiet_s if quiet_s < limit_s else limit_s
        asyncio.get_running_loop().call_later(wait_s, self._watch_idleness)


def _text(path: Path | None) -> str | None:
    return str(path) if path is not None else None


def _resident_bytes() -> int:
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * resource.getpagesize()
    except OSError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024


def _differing(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    return sorted(key for key in one.keys() | other.keys() if one.get(key) != other.get(key))


def _leaves(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in tree.items():
        if isinstance(value, Mapping):
            found.update(_leaves(value, f"{prefix}{name}."))
        else:
            found[f"{prefix}{name}"] = value
    return found
