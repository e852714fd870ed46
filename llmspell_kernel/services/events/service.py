"""Events of a kernel, for the services that publish them.

How a service publishes:

    self._events.publish(
        "tool.completed", {"component_name": name, …}, request=request, component=name
    )

It never blocks and never raises: where nothing listens it counts and returns. Events of a request are seen by clients
and scripts with the key of its caller; without a request they are the kernel's own, and seen by all. What is costly to
gather for an event is gathered only where `wanted(event_type)` says so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from llmspell_kernel.request import Request
from llmspell_kernel.services.hooks.service import HooksService

if TYPE_CHECKING:
    from llmspell_kernel.scripting.contexts import Contexts
    from llmspell_kernel.services.events.bus import EventBus
    from llmspell_kernel.services.events.export import WriteEvent
    from llmspell_kernel.services.hooks.hook import Hook, Occasion
    from llmspell_kernel.services.hooks.verdict import Verdict
    from llmspell_profiles.schema.settings import Settings


class EventsService:
    """The events of a kernel; belongs to the loop. The bus is made when something listens, or is published by a client.

    `write_event` prints an event where the kernel's own output goes; it is called on a thread of its own.
    """

    def __init__(
        self,
        settings: Callable[[], Settings],
        contexts: Contexts,
        hooks: HooksService,
        *,
        environment: Mapping[str, str],
        write_event: WriteEvent | None = None,
    ) -> None:
        self._settings = settings
        self._contexts = contexts
        self._hooks = hooks
        self._environment = environment
        self._write_event = write_event
        self._made: EventBus | None = None
        self._unheard = 0
        hooks.on_call = self._hook_called
        self._look_at(settings())

    @cached_property
    def bus(self) -> EventBus:
        """Who has subscribed, and where events go."""
        from llmspell_kernel.services.events.bus import EventBus

        self._made = EventBus(
            self._settings,
            self._contexts,
            self._hooks,
            environment=self._environment,
            write_event=self._write_event,
            processed=self._unheard,
        )
        return self._made

    def wanted(self, event_type: str) -> bool:
        """Whether an event of this type would go anywhere."""
        return self._made is not None and self._made.listens

    def unheard(self, count: int = 1) -> None:
        """Counts events that were not even made, since nothing wanted them."""
        if self._made is None:
            self._unheard += count
        else:
            self._made.processed += count

    def publish(
        self,
        event_type: str,
        data: Any,
        *,
        request: Request | None,
        component: str = "",
    ) -> None:
        """Publishes an event of the kernel's; see above. `component` is the name of what it is about."""
        if self._made is None and not self._hooks.registered("BeforeEventEmit", request):
            self._unheard += 1
            return
        self.bus.publish(event_type, data, request=request, component=component)

    def timing(self, duration_s: float) -> Mapping[str, float]:
        """`duration_ms` for an event's data; nothing where timings are not wanted (`events.emit_timing_events`)."""
        return self.bus.timing(duration_s)

    def state_changed(self, scope: str, key: str, operation: str, request: Request | None) -> None:
        """Publishes `state.changed` where `events.emit_state_events` says so; the value itself is not told."""
        # Settings that say so have made the bus.
        if self._made is not None:
            self._made.state_changed(scope, key, operation, request)

    def forget(self, owner: str) -> None:
        """A client or script context has ended, and its subscriptions with it."""
        if self._made is not None:
            self._made.forget(owner)

    def reconfigure(self, settings: Settings, running: Collection[asyncio.Task[None]]) -> None:
        """Uses these settings from here on."""
        del running
        self._look_at(settings)
        if self._made is not None:
            self._made.configure(settings)

    def end_streams(self) -> None:
        """The kernel is about to end: no reader is to wait for further events."""
        if self._made is not None:
            self._made.end_streams()

    async def close(self) -> None:
        """Writes what is still to be exported, for a while, and ends."""
        if self._made is not None:
            await self._made.close()

    def _look_at(self, settings: Settings) -> None:
        # A configuration without the table exports nothing and has the defaults, which need no class of theirs.
        if "events" in settings.given:
            assert self.bus is not None

    def _hook_called(self, occasion: Occasion, hook: Hook, verdict: Verdict) -> None:
        if self._made is not None:
            self._made.hook_called(occasion, hook, verdict)
