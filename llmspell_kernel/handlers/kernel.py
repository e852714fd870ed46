"""`kernel_request`: one method an action; what the kernel tells about itself, and how it is steered."""

from __future__ import annotations

from llmspell_kernel.area_handler import AreaHandler
from llmspell_kernel.request import Request
from llmspell_kernel.services.kernel import KernelService
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
    KernelLuaApiReply,
    KernelMetricsReply,
    KernelQueueReply,
    KernelReloadReply,
    KernelSettingsReply,
    KernelStatusReply,
    KernelStorageReply,
)


class KernelHandler(AreaHandler):
    """Answers `kernel_request`."""

    def __init__(self, kernel: KernelService) -> None:
        self._kernel = kernel

    async def status(self, request: Request, wanted: Empty) -> KernelStatusReply:
        """State, places and figures."""
        return self._kernel.status(request.caller)

    async def metrics(self, request: Request, wanted: Empty) -> KernelMetricsReply:
        """Figures."""
        return self._kernel.metrics()

    async def queue(self, request: Request, wanted: Empty) -> KernelQueueReply:
        """The unfinished requests but this one."""
        return KernelQueueReply(requests=self._kernel.queue(besides=request))

    async def config(self, request: Request, wanted: KernelConfig) -> KernelConfigReply:
        """The settings in force."""
        return self._kernel.configuration(wanted.section)

    async def settings(self, request: Request, wanted: Empty) -> KernelSettingsReply:
        """The settings in force, as scripts may know them."""
        return self._kernel.settings_for_scripts()

    async def lua_api(self, request: Request, wanted: Empty) -> KernelLuaApiReply:
        """What scripts can call."""
        return self._kernel.lua_api()

    async def logs(self, request: Request, wanted: KernelLogs) -> KernelLogsReply:
        """The end of the log."""
        return KernelLogsReply(lines=self._kernel.log_lines(wanted.lines))

    async def storage(self, request: Request, wanted: Empty) -> KernelStorageReply:
        """The databases, examined."""
        return await self._kernel.storage()

    async def reload_config(self, request: Request, wanted: Empty) -> KernelReloadReply:
        """Settings from the files again."""
        return self._kernel.reload()

    async def cancel(self, request: Request, wanted: KernelCancel) -> KernelCancelReply:
        """Ends another request."""
        return self._kernel.cancel(wanted.msg_id, request.caller)

    async def drain(self, request: Request, wanted: KernelDrain) -> KernelDrainReply:
        """Begins to end."""
        return self._kernel.stop(keep=request, drain_s=wanted.timeout_s)
