"""`kernel_request`: what the kernel tells about itself, and how it is steered beyond what frontends know."""

from __future__ import annotations

from typing import Any

from llmspell_kernel.context import Reply, Request
from llmspell_kernel.services.kernel import KernelService
from llmspell_kernel.validate import validate


class KernelHandler:
    """`kernel_request`: one method of the service an action."""

    def __init__(self, kernel: KernelService) -> None:
        self._kernel = kernel

    async def __call__(self, request: Request) -> Reply:
        """Validates and answers."""
        wanted: Any = validate(request)
        match request.action:
            case "status":
                return Reply(self._kernel.status(request.caller))
            case "metrics":
                return Reply(self._kernel.metrics())
            case "queue":
                return Reply({"requests": self._kernel.queue(besides=request)})
            case "cancel":
                return Reply(self._kernel.cancel(wanted.msg_id, request.caller))
            case "drain":
                return Reply(self._kernel.stop(keep=request, drain_s=wanted.timeout_s))
            case "reload_config":
                return Reply(self._kernel.reload())
            case "config":
                return Reply(self._kernel.configuration(wanted.section))
            case _:
                return Reply({"lines": self._kernel.log_lines(wanted.lines)})
