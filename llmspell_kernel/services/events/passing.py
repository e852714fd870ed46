"""An event's way from its publisher through hooks to those who get it; events of one publisher keep their order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from llmspell_kernel.request import Request
from llmspell_kernel.services.events.backlog import BeforeHooks
from llmspell_kernel.services.events.event import Event
from llmspell_kernel.services.events.hooked import changed, check, component_of, seen
from llmspell_kernel.services.events.subscriptions import owner_of
from llmspell_kernel.services.hooks.service import HooksService
from llmspell_kernel.services.hooks.verdict import Verdict
from llmspell_protocol.background import of_no_request

_KERNEL = ""
"""The publisher of the kernel's own events."""


class Passing:
    """The events that are on their way; belongs to the loop. `emit` gives one to all who want it."""

    def __init__(self, hooks: HooksService, emit: Callable[[Event], None]) -> None:
        self._hooks = hooks
        self._emit = emit
        self.cancelled = 0
        """Events that a hook has cancelled."""
        self.not_hooked = 0
        """Events of the kernel's own work that were dropped, since too many waited for hooks."""
        self._before_hooks = BeforeHooks()
        self._hooked: dict[str, asyncio.Task[Verdict]] = {}
        """By publisher the last of its events that goes through hooks."""

    def pass_on(self, event: Event, request: Request | None) -> None:
        """Gives the event to all at once, or, where hooks are asked first, behind the earlier ones of its publisher."""
        publisher = _KERNEL if request is None else owner_of(request.caller)
        if publisher not in self._hooked and not self._hooks.registered("BeforeEventEmit", request):
            self._emit(event)
            if self._hooks.registered("AfterEventEmit", request):
                self._in_background(
                    publisher,
                    event,
                    lambda: self._hooks.notify(
                        "AfterEventEmit", request, component=component_of(event), data=seen(event)
                    ),
                )
            return
        self._in_background(publisher, event, lambda: self._through_hooks(event, request, publisher, awaited=False))

    def _in_background(self, publisher: str, event: Event, start: Callable[[], asyncio.Task[Any] | None]) -> None:
        """Begins to call hooks for an event, which nothing waits for, unless too many wait already."""
        if not self._before_hooks.admits(publisher, event):
            self.not_hooked += 1
            return
        task = start()
        if task is not None:
            self._before_hooks.begin(publisher, event)
            task.add_done_callback(lambda _: self._before_hooks.end(publisher, event))

    async def pass_on_and_wait(self, event: Event, request: Request) -> Verdict | None:
        """The same, and waits for the hooks; what they say together, None: none was asked."""
        publisher = owner_of(request.caller)
        if publisher not in self._hooked and not self._hooks.registered("BeforeEventEmit", request):
            self._emit(event)
            if self._hooks.registered("AfterEventEmit", request):
                await self._hooks.tell("AfterEventEmit", request, component=component_of(event), data=seen(event))
            return None
        if self._is_within_hook(request):
            # A hook that publishes must not wait for itself.
            self._emit(event)
            return None
        return await self._through_hooks(event, request, publisher, awaited=True)

    def _is_within_hook(self, request: Request) -> bool:
        return not self._hooks.registered("BeforeEventEmit", request)

    def _through_hooks(
        self, event: Event, request: Request | None, publisher: str, *, awaited: bool
    ) -> asyncio.Task[Verdict]:
        before = self._hooked.get(publisher)

        async def go() -> Verdict:
            if before is not None:
                await asyncio.wait({before})
            verdict = await self._hooks.run(
                "BeforeEventEmit",
                request,
                component=component_of(event),
                data=seen(event),
                awaited=awaited,
                check=lambda said: check(event, said),
            )
            passed = changed(event, verdict)
            if passed is None:
                self.cancelled += 1
            else:
                self._emit(passed)
                await self._hooks.tell(
                    "AfterEventEmit", request, component=component_of(passed), data=seen(passed), awaited=awaited
                )
            return verdict

        task = of_no_request(asyncio.get_running_loop().create_task, go())
        self._hooked[publisher] = task

        def done(_: object) -> None:
            if self._hooked.get(publisher) is task:
                del self._hooked[publisher]

        task.add_done_callback(done)
        return task
