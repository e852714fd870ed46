"""What a kernel tells about itself and how it is steered: status, figures, configuration, log, cancelling, its end."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from llmspell_kernel.active_requests import ActiveRequests
from llmspell_kernel.clients import Clients
from llmspell_kernel.drain import Drain
from llmspell_kernel.identity import Caller
from llmspell_kernel.live_settings import LiveSettings
from llmspell_kernel.request import Request
from llmspell_protocol.connection import ConnectionInfo
from llmspell_protocol.errors import Forbidden, InvalidRequest, NotFound
from llmspell_protocol.version import VERSION

if TYPE_CHECKING:
    from llmspell_kernel.services.rag.service import RagService
    from llmspell_protocol.areas.kernel import (
        KernelCancelReply,
        KernelConfigReply,
        KernelDrainReply,
        KernelLuaApiReply,
        KernelMetricsReply,
        KernelRag,
        KernelReloadReply,
        KernelSettingsReply,
        KernelStatusReply,
        KernelStorageReply,
        QueuedRequest,
    )
    from llmspell_protocol.areas.notebook import NotebookSummary


class KernelFiles(NamedTuple):
    """Where this kernel's files are; None for one that lives inside a command."""

    connection_file: Path | None = None
    pid_file: Path | None = None
    log_file: Path | None = None


class KernelService:
    """The kernel as a service of its own; belongs to the loop.

    `started` is when the kernel was made, in seconds: since the epoch, of a monotonic clock, of processor time;
    `resident_models` are the in-house models in memory, by name, each with the number of requests that wait for it;
    `dropped` is how many messages the doors dropped, by reason; `notebooks` are those that share the kernel;
    `rag` is what has the documents, where something has asked for it.
    """

    def __init__(
        self,
        *,
        info: ConnectionInfo,
        files: KernelFiles | None,
        started: tuple[float, float, float],
        settings: LiveSettings,
        requests: ActiveRequests,
        clients: Clients,
        drain: Drain,
        resident_models: Callable[[], Mapping[str, int]],
        dropped: Callable[[], Mapping[str, int]],
        notebooks: Callable[[], Sequence[NotebookSummary]],
        rag: Callable[[], RagService | None],
    ) -> None:
        self._info = info
        self._files = files or KernelFiles()
        self._started, monotonic, cpu = started
        self._settings = settings
        self._requests = requests
        self._clients = clients
        self._drain = drain
        self._resident_models = resident_models
        self._dropped = dropped
        self._notebooks = notebooks
        self._rag = rag
        self._cpu_seen = (monotonic, cpu)

    def status(self, asked_by: Caller) -> KernelStatusReply:
        """Id, state, counts, times and places; neither the request that asks nor its client makes a kernel busy.

        `Idle` is when the idle timeout would count if the caller left.
        """
        from llmspell_protocol.areas.kernel import KernelStatusReply

        working = self._requests.working - 1
        return KernelStatusReply(
            id=self._info.id,
            pid=os.getpid(),
            state=self._state(working, asked_by.client),
            version=VERSION,
            profile=self._settings.loaded.profile,
            config_file=_text(self._settings.loaded.source),
            transport=self._info.transport,
            port=self._info.shell_port or None,
            ports=self._info.ports,
            connection_file=_text(self._files.connection_file),
            pid_file=_text(self._files.pid_file),
            log_file=_text(self._files.log_file),
            started_at=_iso(self._started),
            clients=len(self._clients),
            active_requests=working,
            models=list(self._resident_models()),
            notebooks=self._notebooks(),
            rag=self._rag_state(),
            metrics=self.metrics(),
        )

    async def storage(self) -> KernelStorageReply:
        """The databases of the home, each examined whole, on a thread."""
        from llmspell_kernel.services.databases import databases
        from llmspell_protocol.areas.kernel import KernelStorageReply

        home = self._settings.loaded.home
        return KernelStorageReply(databases=await asyncio.to_thread(lambda: list(databases(self._settings(), home))))

    def metrics(self) -> KernelMetricsReply:
        """Figures of the kernel's process; `cpu_percent` is since the last time it was asked for."""
        # It takes 20 ms to import, and only figures need it.
        import psutil

        from llmspell_protocol.areas.kernel import KernelMetricsReply

        process = psutil.Process()
        now, cpu = time.monotonic(), time.process_time()
        before, cpu_before = self._cpu_seen
        self._cpu_seen = (now, cpu)
        models, rag = self._resident_models(), self._rag()
        return KernelMetricsReply(
            cpu_percent=round(100 * (cpu - cpu_before) / max(now - before, 1e-3), 1),
            memory_bytes=process.memory_info().rss,
            memory_percent=round(process.memory_percent(), 2),
            open_files=process.num_fds(),
            uptime_s=round(time.time() - self._started, 3),
            last_activity=_iso(self._requests.last_activity),
            active_connections=len(self._clients),
            requests_handled=self._requests.handled,
            messages_dropped=dict(self._dropped()),
            models_loaded=len(models),
            queue=sum(models.values()),
            rag=None if rag is None or not rag.watch.counts_are_wanted else rag.watch.counts(),
        )

    def _rag_state(self) -> KernelRag | None:
        rag = self._rag()
        if rag is None:
            return None
        from llmspell_protocol.areas.kernel import KernelRag

        state = rag.state()
        return KernelRag(
            pid=state.pid,
            memory_bytes=state.memory_bytes,
            path=_text(state.path),
            healthy=state.healthy,
            problem=state.problem,
        )

    def queue(self, besides: Request) -> list[QueuedRequest]:
        """The unfinished requests, oldest first, without the one that asks."""
        return [_queued(request) for request in self._requests if request is not besides]

    def cancel(self, msg_id: str, caller: Caller) -> KernelCancelReply:
        """Cancels an unfinished request of the caller's session; with the right `admin`, of any.

        Raises:
            NotFound: there is none; one that comes in the next seconds is cancelled when it does.
            Forbidden: it belongs to another session.
        """
        from llmspell_protocol.areas.kernel import KernelCancelReply

        target = self._requests.get(msg_id, caller.sender)
        if target is None:
            # It may have overtaken its request.
            self._requests.early_cancels.remember(msg_id, caller.sender)
            raise NotFound(
                f"no unfinished request {msg_id}",
                hint="it has ended already, or never came; one that comes in the next seconds is cancelled",
                details={"msg_id": msg_id},
            )
        if target.caller.sender != caller.sender and not caller.may("admin"):
            raise Forbidden("only the session that sent a request may cancel it", details={"msg_id": msg_id})
        target.cancel("the client cancelled it")
        return KernelCancelReply(cancelled=msg_id, request=target.msg_type)

    @property
    def drain_timeout_s(self) -> float:
        """How long running work may go on when the kernel is stopped."""
        return float(self._settings().kernel.drain_timeout_seconds)

    def stop(self, *, keep: Request, drain_s: float | None = None) -> KernelDrainReply:
        """Begins to drain and end, and returns at once; `keep` is the request that asks. A second call hurries.

        Raises:
            InvalidRequest: `drain_s` is no time, such as NaN or less than 0.
        """
        from llmspell_protocol.areas.kernel import KernelDrainReply

        if drain_s is None:
            drain_s = self.drain_timeout_s
        elif not 0 <= drain_s < inf:
            raise InvalidRequest(f"a drain of {drain_s:g} s is not possible", details={"timeout_s": str(drain_s)})
        self._drain.begin(drain_s, keep=keep)
        return KernelDrainReply(draining=True, timeout_s=drain_s, active=self._requests.working - 1)

    def reload(self) -> KernelReloadReply:
        """Reads the configuration again and applies what a running kernel can change.

        Raises:
            LlmspellError: it doesn't validate; the old settings stay.
        """
        return self._settings.reload()

    def configuration(self, section: str | None) -> KernelConfigReply:
        """The settings in force, or the part that a dotted path names, with where they come from; no secrets.

        Raises:
            NotFound: there is no such section.
        """
        from llmspell_kernel.configuration import shown_configuration

        return shown_configuration(self._settings.loaded, section)

    def settings_for_scripts(self) -> KernelSettingsReply:
        """The settings in force as a script may know them."""
        from llmspell_kernel.configuration import settings_for_scripts
        from llmspell_protocol.areas.kernel import KernelSettingsReply

        return KernelSettingsReply(settings=settings_for_scripts(self._settings.loaded))

    def lua_api(self) -> KernelLuaApiReply:
        """What scripts can call, for editors."""
        from llmspell_kernel.scripting.lua.definitions import definitions
        from llmspell_protocol.areas.kernel import KernelLuaApiReply

        return KernelLuaApiReply(version=VERSION, definitions=definitions())

    def log_lines(self, count: int) -> list[str]:
        """The last lines of the kernel's log; none where it has no log file."""
        from llmspell_protocol.log_lines import last_lines

        return [] if self._files.log_file is None else last_lines(self._files.log_file, count)

    def _state(self, working: int, asked_by: str) -> Literal["Healthy", "Busy", "Idle", "Shutting Down"]:
        if self._drain.begun:
            return "Shutting Down"
        if working > 0:
            return "Busy"
        return "Healthy" if any(client != asked_by for client in self._clients) else "Idle"


def _queued(request: Request) -> QueuedRequest:
    from llmspell_protocol.areas.kernel import QueuedRequest

    return QueuedRequest(
        msg_id=request.id,
        type=request.msg_type,
        action=request.action or None,
        client=request.caller.client,
        kind=request.caller.kind,
        parent=request.parent.id if request.parent else None,
    )


def _text(path: Path | None) -> str | None:
    return str(path) if path is not None else None


def _iso(epoch_s: float) -> str:
    return datetime.fromtimestamp(epoch_s, UTC).isoformat().replace("+00:00", "Z")
