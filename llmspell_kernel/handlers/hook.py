"""`hook_request`: one method an action, translated for the hooks service."""

from __future__ import annotations

from llmspell_kernel.area_handler import AreaHandler
from llmspell_kernel.request import Request
from llmspell_kernel.scripting.contexts import Contexts
from llmspell_kernel.services.hooks.component import Component
from llmspell_kernel.services.hooks.hook import Hook, Occasion
from llmspell_kernel.services.hooks.points import CUSTOM, demand_point, demand_priority
from llmspell_kernel.services.hooks.registry import HookRegistry
from llmspell_kernel.services.tools.callers import owner_of
from llmspell_protocol.areas.action import Empty
from llmspell_protocol.areas.hook import (
    HookFire,
    HookFireReply,
    HookList,
    HookListReply,
    HookNamed,
    HookRegister,
    HookReply,
    HookStatsReply,
    HookSummary,
    HookUnregisterReply,
)
from llmspell_protocol.errors import InvalidRequest


class HookHandler(AreaHandler):
    """Answers `hook_request`."""

    def __init__(self, hooks: HookRegistry, contexts: Contexts) -> None:
        self._hooks = hooks
        self._contexts = contexts

    async def register(self, request: Request, wanted: HookRegister) -> HookReply:
        """A function of the script's as a hook."""
        function = self._contexts.function(request, wanted.execute)
        return HookReply(hook=_summary(self._hooks.register(wanted, function, request)))

    async def unregister(self, request: Request, wanted: HookNamed) -> HookUnregisterReply:
        """Takes a script's hook back."""
        return HookUnregisterReply(removed=self._hooks.unregister(wanted.hook, owner_of(request.caller)))

    async def list(self, request: Request, wanted: HookList) -> HookListReply:
        """Which hooks there are."""
        if wanted.point is not None:
            demand_point(wanted.point)
        if wanted.priority is not None:
            demand_priority(wanted.priority)
        found = [
            _summary(hook)
            for hook in self._hooks.list(request.caller)
            if wanted.point in (None, hook.point)
            and wanted.language in (None, hook.language)
            and wanted.priority in (None, hook.priority)
            and (wanted.tag is None or wanted.tag in hook.tags)
        ]
        return HookListReply(hooks=found, count=len(found))

    async def fire(self, request: Request, wanted: HookFire) -> HookFireReply:
        """Reaches a point of the script's own."""
        if not wanted.point.startswith(CUSTOM):
            raise InvalidRequest(f"only points that begin with '{CUSTOM}' can be fired, not '{wanted.point:.60}'")
        demand_point(wanted.point)
        component = Component("custom", wanted.point.removeprefix(CUSTOM))
        verdict = await self._hooks.run(Occasion(wanted.point, request, component, dict(wanted.data)))
        verdict.demand_not_cancelled(wanted.point)
        data = verdict.value if verdict.kind == "replace" else dict(verdict.data)
        return HookFireReply(verdict=verdict.kind, data=data, reason=verdict.reason)

    async def stats(self, request: Request, wanted: Empty) -> HookStatsReply:
        """What was counted."""
        hooks = [_summary(hook) for hook in self._hooks.list(request.caller)]
        return HookStatsReply(hooks=hooks, builtin=self._hooks.figures(request.caller.key_id))


def _summary(hook: Hook) -> HookSummary:
    return HookSummary(
        id=hook.id,
        name=hook.name,
        hook_point=hook.point,
        priority=hook.priority,
        language=hook.language,
        version=hook.version,
        description=hook.description,
        tags=hook.tags,
        enabled=not hook.is_off,
        calls=hook.calls,
        failures=hook.failures,
        total_ms=round(hook.total_ms, 3),
    )
