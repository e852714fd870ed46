"""The event bus: which events are let in, through which hooks, and who gets them. It never waits for a reader."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from llmspell_kernel.identity import Caller
from llmspell_kernel.request import Request
from llmspell_kernel.services.correlation import correlation_of, new_id
from llmspell_kernel.services.events.event import Event
from llmspell_kernel.services.events.own_types import NATIVE, demand_free
from llmspell_kernel.services.events.passing import Passing
from llmspell_kernel.services.events.sizes import demand_size, demand_type, fitting
from llmspell_kernel.services.events.subscription import BUFFERED, Subscription
from llmspell_kernel.services.events.subscriptions import Subscriptions
from llmspell_kernel.services.hooks.hook import Hook, Occasion
from llmspell_kernel.services.hooks.service import HooksService
from llmspell_kernel.services.hooks.verdict import Verdict, cancelled
from llmspell_kernel.services.patterns import fits_any
from llmspell_kernel.times import now_text
from llmspell_protocol.background import of_no_request
from llmspell_protocol.errors import Forbidden, InvalidRequest, NotFound

if TYPE_CHECKING:
    from llmspell_kernel.scripting.contexts import Contexts, ScriptFunction
    from llmspell_kernel.services.events.export import Exporter, WriteEvent
    from llmspell_profiles.credentials.redaction import Redactor
    from llmspell_profiles.schema.events import EventsSettings
    from llmspell_profiles.schema.settings import Settings

log = logging.getLogger(__name__)

_REDACTED_AT_ONCE = 64 * 1024
"""Bytes of an event in memory from which on secrets are looked for on a thread: that would take long."""


class EventBus:
    """The event bus of a kernel; belongs to the loop.

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
        processed: int = 0,
    ) -> None:
        self._settings = settings
        self._contexts = contexts
        self._hooks = hooks
        self._environment = environment
        self._write_event = write_event
        self.processed = processed
        """Events that were published."""
        self.filtered = 0
        """Events that the settings keep out."""
        self.rate_limited = 0
        """Events beyond `events.max_events_per_second`."""
        self._sequence = 0
        self._second = (0, 0)
        self._subscriptions = Subscriptions()
        self._tasks: set[asyncio.Task[None]] = set()
        """What calls the functions of subscriptions, and closes exports that were replaced."""
        self._passing = Passing(hooks, self._emit)
        self._redactor: Redactor | None = None
        self._exporter: Exporter | None = None
        self._export: EventsSettings | None = None
        self._table: EventsSettings | None = None
        self.listens = False
        """Whether anything wants events."""
        self.configure(settings())

    # Publishing

    def publish(
        self,
        event_type: str,
        data: Any,
        *,
        request: Request | None,
        component: str = "",
    ) -> None:
        """As `EventsService.publish`."""
        self.processed += 1
        if not self.listens and not self._hooks.registered("BeforeEventEmit", request):
            return
        data, size = fitting(data)
        event = self._event(event_type, data, request, size, component=component)
        self._passing.pass_on(event, request)

    def timing(self, duration_s: float) -> Mapping[str, float]:
        """`duration_ms` for an event's data; nothing where timings are not wanted (`events.emit_timing_events`)."""
        if self._table is None or self._table.emit_timing_events:
            return {"duration_ms": round(duration_s * 1000, 3)}
        return {}

    def state_changed(self, scope: str, key: str, operation: str, request: Request | None) -> None:
        """Publishes `state.changed` where `events.emit_state_events` says so; the value itself is not told."""
        if self._table is not None and self._table.emit_state_events:
            told = {"scope": scope, "key": key, "operation": operation}
            self.publish("state.changed", told, request=request, component=scope)

    async def publish_for(
        self,
        request: Request,
        event_type: str,
        data: Any,
        *,
        correlation_id: str | None = None,
        ttl_s: float | None = None,
        language: str = "lua",
        metadata: Mapping[str, Any] | None = None,
        target_language: str | None = None,
    ) -> Event:
        """Publishes a client's or script's event: hooks have been asked, and functions of its own script were called.

        Raises:
            Forbidden: events are switched off, the type is one of the kernel's own, or a hook has cancelled it.
            InvalidRequest: the type is empty or too long, or the time to live no time.
        """
        self._demand_enabled()
        demand_type(event_type)
        demand_free(event_type, language)
        if ttl_s is not None and not ttl_s > 0:
            raise InvalidRequest(f"ttl_seconds must be more than 0, not {ttl_s:g}")
        if correlation_id is not None:
            correlation_id = _uuid(correlation_id)
        size = demand_size([data, metadata, language, target_language])
        self.processed += 1
        event = self._event(
            event_type,
            data,
            request,
            size,
            correlation_id=correlation_id,
            ttl_s=ttl_s,
            language=language,
            metadata=metadata,
            target_language=target_language,
        )
        verdict = await self._passing.pass_on_and_wait(event, request)
        if verdict is not None and verdict.kind == "cancel":
            raise cancelled(verdict, "BeforeEventEmit")
        await self._called_within(request)
        return event

    # Subscriptions

    def subscribe(self, pattern: str, request: Request, function: ScriptFunction | None = None) -> Subscription:
        """A subscription of the caller's, until it is taken back or the caller is gone.

        Events that were published before are not seen. With `function` a function of the caller's script is called
        with each event, between the script's own calls.

        Raises:
            InvalidRequest: the pattern is empty or too long, or there are too many.
            Forbidden: events are switched off.
        """
        self._demand_enabled()
        size = BUFFERED if self._table is None else min(BUFFERED, self._table.buffer_size)
        made = self._subscriptions.add(pattern, request, size=size, function=function)
        self.listens = True
        if function is not None:
            from llmspell_kernel.services.events.calls import call_with_each

            self._start(call_with_each(made, self._contexts, request, self._hooks))
        return made

    def find(self, id: str, caller: Caller) -> Subscription:
        """The caller's subscription of this id.

        Raises:
            NotFound: there is none.
        """
        return self._subscriptions.find(id, caller)

    def unsubscribe(self, id: str, caller: Caller) -> bool:
        """Takes back a subscription of the caller's; whether there was one."""
        try:
            found = self.find(id, caller)
        except NotFound:
            return False
        self._end(found)
        return True

    def subscriptions(self, caller: Caller) -> Sequence[Subscription]:
        """The caller's subscriptions, oldest first; a client's that is no script: those of all with its key."""
        return self._subscriptions.seen_by(caller)

    def figures(self) -> Mapping[str, int]:
        """What was counted, of all keys: numbers alone."""
        subscriptions = tuple(self._subscriptions)
        return {
            "events_processed": self.processed,
            "events_filtered": self.filtered,
            "rate_limit_violations": self.rate_limited,
            "events_cancelled": self._passing.cancelled,
            "events_dropped": self._passing.not_hooked + sum(one.dropped for one in subscriptions),
            "events_expired": sum(one.expired for one in subscriptions),
            "buffer_size": self._settings().events.buffer_size,
            "events_exported": 0 if self._exporter is None else self._exporter.exported,
            "export_dropped": 0 if self._exporter is None else self._exporter.dropped,
        }

    async def shown(self, event: Event) -> dict[str, Any]:
        """The event as a client may show it: without the secrets in it. Scripts have it as it was published."""
        redactor = self._redaction()
        if event.size <= _REDACTED_AT_ONCE:
            found = redactor.value(event.as_content())
        else:
            found = await asyncio.to_thread(lambda: redactor.value(event.as_content()))
        return cast("dict[str, Any]", found)

    def _redaction(self) -> Redactor:
        if self._redactor is None:
            from llmspell_profiles.credentials.settings_secrets import redactor

            self._redactor = redactor(self._settings(), self._environment)
        return self._redactor

    # The kernel's life

    def forget(self, owner: str) -> None:
        """A client or script context has ended, and its subscriptions with it."""
        for one in self._subscriptions.of(owner):
            self._end(one)

    def end_streams(self) -> None:
        """The kernel is about to end: no reader is to wait for further events."""
        for one in self._subscriptions:
            self._leave(one)
            one.end()

    async def close(self) -> None:
        """Writes what is still to be exported, for a while, and ends."""
        self.end_streams()
        if self._tasks:
            await asyncio.wait(set(self._tasks))
        if self._exporter is not None:
            await self._exporter.close()

    def configure(self, settings: Settings) -> None:
        """Uses these settings from here on."""
        self._redactor = None  # Keys may be others.
        # A configuration without the table has the defaults, which need no class of theirs.
        self._table = settings.events if "events" in settings.given else None
        wanted = None
        if self._table is not None and self._table.enabled:
            export = self._table.export
            if export.stdout or export.file is not None or export.webhook is not None:
                wanted = self._table
        if wanted != self._export:
            self._export = wanted
            old, self._exporter = self._exporter, None
            if old is not None:
                self._start(old.close())
            if wanted is not None:
                from llmspell_kernel.services.events.export import Exporter

                self._exporter = Exporter(wanted, self._redaction(), self._write_event)
        if self._table is not None and not self._table.enabled:
            self.end_streams()
        self.listens = bool(self._subscriptions) or self._exporter is not None

    def _demand_enabled(self) -> None:
        if self._table is not None and not self._table.enabled:
            raise Forbidden(
                "events are switched off", hint="set events.enabled = true", details={"setting": "events.enabled"}
            )

    def _end(self, subscription: Subscription) -> None:
        self._leave(subscription)
        # A function that is being called runs on: it may be what has unsubscribed.
        subscription.drop()

    def _leave(self, subscription: Subscription) -> None:
        self._subscriptions.remove(subscription)
        self.listens = bool(self._subscriptions) or self._exporter is not None

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = of_no_request(asyncio.get_running_loop().create_task, work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # An event's way

    def _event(
        self,
        event_type: str,
        data: Any,
        request: Request | None,
        size: int,
        *,
        component: str = "",
        correlation_id: str | None = None,
        ttl_s: float | None = None,
        language: str = NATIVE,
        metadata: Mapping[str, Any] | None = None,
        target_language: str | None = None,
    ) -> Event:
        self._sequence += 1
        if correlation_id is None:
            correlation_id = new_id() if request is None else correlation_of(request)
        return Event(
            id=new_id(),
            event_type=event_type,
            data=data,
            timestamp=now_text(),
            sequence=self._sequence,
            correlation_id=correlation_id,
            language=language,
            key_id=None if request is None else request.caller.key_id,
            component=component,
            ttl_s=ttl_s,
            expires=None if ttl_s is None else asyncio.get_running_loop().time() + ttl_s,
            metadata=metadata or {},
            target_language=target_language,
            size=size,
        )

    def _emit(self, event: Event) -> None:
        table = self._table
        if table is not None:
            if not table.enabled:
                return
            if not _let_in(event, table):
                self.filtered += 1
                return
            if table.max_events_per_second is not None and not self._within_rate(table.max_events_per_second):
                self.rate_limited += 1
                return
        for one in self._subscriptions:
            one.offer(event)
        if self._exporter is not None:
            self._exporter.add(event)

    def _within_rate(self, most: int) -> bool:
        second = int(asyncio.get_running_loop().time())
        seen, counted = self._second
        counted = counted + 1 if seen == second else 1
        self._second = second, counted
        return counted <= most

    async def _called_within(self, request: Request) -> None:
        """Waits until the functions of the publishing script were called with its event.

        Not where a function of the script's publishes: those that wait for their turn would wait for each other.
        """
        if request.parent is None or request.parent.msg_type != "execute_request":
            return
        owner = request.caller.context
        for one in self._subscriptions.of(owner or ""):
            if one.function is not None:
                await one.handled()

    def hook_called(self, occasion: Occasion, hook: Hook, verdict: Verdict) -> None:
        """Publishes `hook.executed` where `events.emit_debug_events` says so; events' own hooks are no news."""
        if self._table is None or not self._table.emit_debug_events or occasion.component.type == "event":
            return
        told = {"hook": hook.name, "point": occasion.point, "verdict": verdict.kind}
        self.publish("hook.executed", told, request=occasion.request, component=hook.name)


def _let_in(event: Event, table: EventsSettings) -> bool:
    wanted = table.filtering
    if not fits_any(event.event_type, wanted.include_types):
        return False
    if fits_any(event.event_type, wanted.exclude_types):
        return False
    if not event.component:
        return True
    return fits_any(event.component, wanted.include_components) and not fits_any(
        event.component, wanted.exclude_components
    )


def _uuid(text: str) -> str:
    from uuid import UUID

    try:
        return str(UUID(text))
    except ValueError:
        raise InvalidRequest(f"correlation_id '{text:.60}' is not a UUID") from None
