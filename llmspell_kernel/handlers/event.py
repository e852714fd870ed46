"""`event_request`: one method an action, translated for the events service."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Protocol, runtime_checkable

from llmspell_kernel.area_handler import AreaHandler
from llmspell_kernel.request import Request
from llmspell_kernel.scripting.contexts import Contexts
from llmspell_kernel.services.events.bus import EventBus
from llmspell_kernel.services.events.subscription import Subscription
from llmspell_protocol.areas.action import Empty
from llmspell_protocol.areas.event import (
    EventListen,
    EventListenReply,
    EventPublish,
    EventPublishReply,
    EventReceive,
    EventReceiveReply,
    EventStatsReply,
    EventSubscribe,
    EventSubscribeReply,
    EventSubscriptionsReply,
    EventUnsubscribeReply,
    SubscriptionNamed,
    SubscriptionSummary,
)
from llmspell_protocol.errors import Forbidden, InvalidRequest

LONGEST_WAIT_MS = 3_600_000.0
MOST_UNSENT = 8
"""Messages that a slow reader may have outstanding; further events stay in its buffer, which counts what it drops."""
LOOK_AGAIN_S = 0.05


@runtime_checkable
class HasBacklog(Protocol):
    """A sink that knows how much its reader has not taken yet."""

    def backlog(self) -> int:
        """Messages that wait for the reader."""


class EventHandler(AreaHandler):
    """Answers `event_request`."""

    def __init__(self, events: EventBus, contexts: Contexts) -> None:
        self._events = events
        self._contexts = contexts

    async def publish(self, request: Request, wanted: EventPublish) -> EventPublishReply:
        """An event of the caller's."""
        event = await self._events.publish_for(
            request,
            wanted.event_type,
            wanted.data,
            correlation_id=wanted.correlation_id,
            ttl_s=wanted.ttl_s,
            language=wanted.language,
            metadata=wanted.metadata,
            target_language=wanted.target_language,
        )
        return EventPublishReply(id=event.id, sequence=event.sequence, correlation_id=event.correlation_id)

    async def subscribe(self, request: Request, wanted: EventSubscribe) -> EventSubscribeReply:
        """A stream of events, without the secrets in them."""
        if wanted.count is not None and wanted.count < 0:
            raise InvalidRequest(f"count must be 0 or more, not {wanted.count}")
        subscription = self._events.subscribe(wanted.pattern, request)
        sent = told = 0
        try:
            request.progress({"subscription": subscription.id})
            while wanted.count is None or sent < wanted.count:
                await _taken(request)
                event = await subscription.next()
                if event is None:
                    break
                request.delta({"event": await self._events.shown(event), "dropped": subscription.dropped - told})
                told = subscription.dropped
                sent += 1
        finally:
            self._events.unsubscribe(subscription.id, request.caller)
        return EventSubscribeReply(pattern=wanted.pattern, events=sent, dropped=subscription.dropped)

    async def listen(self, request: Request, wanted: EventListen) -> EventListenReply:
        """A subscription that is asked for its events, or whose events are given to a function."""
        if request.caller.kind != "script":
            raise Forbidden(
                "only scripts have subscriptions that wait", hint="a client follows events with the action subscribe"
            )
        function = None if wanted.execute is None else self._contexts.function(request, wanted.execute)
        made = self._events.subscribe(wanted.pattern, request, function)
        return EventListenReply(subscription=made.id, pattern=made.pattern)

    async def receive(self, request: Request, wanted: EventReceive) -> EventReceiveReply:
        """The next event."""
        if not 0 <= wanted.timeout_ms <= LONGEST_WAIT_MS:
            raise InvalidRequest(f"timeout_ms must be from 0 to {LONGEST_WAIT_MS:.0f}, not {wanted.timeout_ms:g}")
        subscription = self._events.find(wanted.subscription, request.caller)
        if subscription.function is not None:
            raise InvalidRequest("the events of this subscription are given to its function")
        event = subscription.taken()
        if event is None:
            try:
                async with asyncio.timeout(wanted.timeout_ms / 1000):
                    event = await subscription.next()
            except TimeoutError:
                event = None
        content = None if event is None else event.as_content()
        return EventReceiveReply(event=content, dropped=subscription.dropped)

    async def unsubscribe(self, request: Request, wanted: SubscriptionNamed) -> EventUnsubscribeReply:
        """Takes a subscription back."""
        return EventUnsubscribeReply(removed=self._events.unsubscribe(wanted.subscription, request.caller))

    async def subscriptions(self, request: Request, wanted: Empty) -> EventSubscriptionsReply:
        """Which there are."""
        found = [_summary(one) for one in self._events.subscriptions(request.caller)]
        return EventSubscriptionsReply(subscriptions=found, count=len(found))

    async def stats(self, request: Request, wanted: Empty) -> EventStatsReply:
        """What was counted."""
        seen = self._events.subscriptions(request.caller)
        languages = Counter(_language(one) for one in seen)
        return EventStatsReply(
            **self._events.figures(), active_subscriptions=len(seen), subscriptions_by_language=dict(languages)
        )


async def _taken(request: Request) -> None:
    """Waits while the reader is slow; most readers never are."""
    sink = request.sink
    if isinstance(sink, HasBacklog):
        while sink.backlog() > MOST_UNSENT:  # noqa: ASYNC110 — a socket tells nothing of what is taken
            await asyncio.sleep(LOOK_AGAIN_S)


def _language(subscription: Subscription) -> str:
    return "Lua" if subscription.of_script else "Native"


def _summary(one: Subscription) -> SubscriptionSummary:
    return SubscriptionSummary(
        id=one.id,
        pattern=one.pattern,
        language=_language(one).lower(),
        owner=one.owner,
        waiting=one.waiting,
        received=one.received,
        dropped=one.dropped,
        expired=one.expired,
    )
