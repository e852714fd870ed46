"""`kernel_request`: one method an action; what the kernel tells about itself, and how it is steered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from llmspell_kernel.area_handler import AreaHandler
from llmspell_kernel.context import Request
from llmspell_protocol.areas.action import Empty
from llmspell_protocol.areas.kernel import (
    KernelCancel,
    KernelCancelReply,
    KernelConfig,
    KernelConfigReply,
    KernelDrain,
    KernelDrainReply,
    KernelLogs,
    KernelLogsReply,
    KernelMetricsReply,
    KernelQueueReply,
    KernelReloadReply,
    KernelStatusReply,
    QueuedRequest,
)
from llmspell_protocol.errors import Forbidden, NotFound


class KernelControl(Protocol):
    """What the kernel itself lets handlers do."""

    @property
    def active(self) -> Mapping[str, Request]:
        """Unfinished requests by id."""

    def cancel_early(self, msg_id: str, session: str) -> None:
        """Cancels a request of this session when it comes, if that is soon."""

    def status(self, asked_by: str) -> KernelStatusReply:
        """Id, state, counts and times, as they are without the client that asks."""

    def metrics(self) -> KernelMetricsReply:
        """Figures of the process."""

    def stop(self, *, drain_s: float, keep: Request | None = None) -> None:
        """Begins to drain and end; returns at once."""

    def reload(self) -> KernelReloadReply:
        """Reads the configuration again and applies what a running kernel can change."""

    def configuration(self, section: str | None) -> KernelConfigReply:
        """The settings in force, or a part of them, with where they come from and without secrets."""

    def log_lines(self, count: int) -> list[str]:
        """The last lines of the kernel's log."""


class KernelHandler(AreaHandler):
    """Answers `kernel_request`."""

    def __init__(self, kernel: KernelControl, drain_s: Callable[[], float]) -> None:
        self._kernel = kernel
        self._drain_s = drain_s

    async def status(self, request: Request, wanted: Empty) -> KernelStatusReply:
        """State, places and figures."""
        return self._kernel.status(request.caller.client)

    async def metrics(self, request: Request, wanted: Empty) -> KernelMetricsReply:
        """Figures."""
        return self._kernel.metrics()

    async def queue(self, request: Request, wanted: Empty) -> KernelQueueReply:
        """The unfinished requests but this one."""
        others = [entry for entry in self._kernel.active.values() if entry is not request]
        return KernelQueueReply(requests=[_queued(entry) for entry in others])

    async def config(self, request: Request, wanted: KernelConfig) -> KernelConfigReply:
        """The settings in force."""
        return self._kernel.configuration(wanted.section)

    async def logs(self, request: Request, wanted: KernelLogs) -> KernelLogsReply:
        """The end of the log."""
        return KernelLogsReply(lines=self._kernel.log_lines(wanted.lines))

    async def reload_config(self, request: Request, wanted: Empty) -> KernelReloadReply:
        """Settings from the files again."""
        return self._kernel.reload()

    async def cancel(self, request: Request, wanted: KernelCancel) -> KernelCancelReply:
        """Ends another request."""
        target = self._kernel.active.get(wanted.msg_id)
        if target is None:
            # It may have overtaken its request.
            self._kernel.cancel_early(wanted.msg_id, request.caller.session)
            raise NotFound(
                f"no unfinished request {wanted.msg_id}",
                hint="it has ended already, or never came; one that comes in the next seconds is cancelled",
                details={"msg_id": wanted.msg_id},
            )
        if target.caller.session != request.caller.session and "admin" not in request.caller.capabilities:
            raise Forbidden("only the session that sent a request may cancel it", details={"msg_id": wanted.msg_id})
        target.cancel("the client cancelled it")
        return KernelCancelReply(cancelled=wanted.msg_id, request=target.msg_type)

    async def drain(self, request: Request, wanted: KernelDrain) -> KernelDrainReply:
        """Begins to end."""
        drain_s = self._drain_s() if wanted.timeout_s is None else wanted.timeout_s
        self._kernel.stop(drain_s=drain_s, keep=request)
        return KernelDrainReply(draining=True, timeout_s=drain_s, active=len(self._kernel.active) - 1)


def _queued(request: Request) -> QueuedRequest:
    return QueuedRequest(
        msg_id=request.id,
        type=request.msg_type,
        action=request.action or None,
        client=request.caller.client,
        kind=request.caller.kind,
        parent=request.parent.id if request.parent else None,
    )
