"""`kernel_request`: what the kernel tells about itself, and how it is steered beyond what frontends know."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from llmspell_kernel.context import Content, Reply, Request
from llmspell_kernel.validate import validate
from llmspell_protocol.errors import Forbidden, NotFound
from llmspell_protocol.requests import KernelCancel, KernelDrain, KernelLogs


class KernelControl(Protocol):
    """What the kernel itself lets handlers do."""

    @property
    def active(self) -> Mapping[str, Request]:
        """Unfinished requests by id."""

    def cancel_early(self, msg_id: str, session: str) -> None:
        """Cancels a request of this session when it comes, if that is soon."""

    def status(self, asked_by: str) -> Content:
        """Id, state, counts and times, as they are without the client that asks."""

    def metrics(self) -> Content:
        """Figures of the process."""

    def stop(self, *, drain_s: float, keep: Request | None = None) -> None:
        """Begins to drain and end; returns at once."""

    def reload(self) -> Content:
        """Reads the configuration again: `{applied, at_next_load, restart_needed, warnings}`."""

    def configuration(self, section: str | None) -> Content:
        """The settings in force, or a part of them, with where they come from and without secrets."""

    def log_lines(self, count: int) -> list[str]:
        """The last lines of the kernel's log."""


class KernelHandler:
    """`kernel_request`: one method an action."""

    def __init__(self, kernel: KernelControl, drain_s: Callable[[], float]) -> None:
        self._kernel = kernel
        self._drain_s = drain_s

    async def __call__(self, request: Request) -> Reply:
        """Validates and answers."""
        wanted: Any = validate(request)
        match request.action:
            case "status":
                return Reply(self._kernel.status(request.caller.client))
            case "metrics":
                return Reply(self._kernel.metrics())
            case "queue":
                return Reply(
                    {"requests": [_line(entry) for entry in self._kernel.active.values() if entry is not request]}
                )
            case "cancel":
                return self._cancel(request, wanted)
            case "drain":
                return self._drain(request, wanted)
            case "reload_config":
                return Reply(self._kernel.reload())
            case "config":
                return Reply(self._kernel.configuration(wanted.section))
            case _:
                return self._logs(wanted)

    def _cancel(self, request: Request, wanted: KernelCancel) -> Reply:
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
        return Reply({"cancelled": wanted.msg_id, "request": target.msg_type})

    def _drain(self, request: Request, wanted: KernelDrain) -> Reply:
        drain_s = self._drain_s() if wanted.timeout_s is None else wanted.timeout_s
        self._kernel.stop(drain_s=drain_s, keep=request)
        return Reply({"draining": True, "timeout_s": drain_s, "active": len(self._kernel.active) - 1})

    def _logs(self, wanted: KernelLogs) -> Reply:
        return Reply({"lines": self._kernel.log_lines(wanted.lines)})


def _line(request: Request) -> Content:
    return {
        "msg_id": request.id,
        "type": request.msg_type,
        "action": request.action or None,
        "client": request.caller.client,
        "kind": request.caller.kind,
        "parent": request.parent.id if request.parent else None,
    }
