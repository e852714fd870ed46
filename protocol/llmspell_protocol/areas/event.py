"""`event_request`: events of scripts, clients and the kernel: published, waited for, followed as a stream."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any

from llmspell_protocol.areas.action import Action, Empty
from llmspell_protocol.structs import Struct


class EventPublish(Struct):
    """An event for everyone with the caller's key who has subscribed to its type.

    Types that the kernel publishes itself (`system.started`, `tool.completed`) and the language `native` are refused.
    """

    event_type: str
    data: Any = None
    correlation_id: str | None = None
    """a UUID; none: that of everything that comes of the request at the root"""
    ttl_s: float | None = None
    """how long it may wait for a reader, in seconds"""
    language: str = "lua"
    target_language: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)


class EventSubscribe(Struct):
    """A stream of the events that fit a pattern: `*` is any run of characters, `?` one.

    It goes on until the request is cancelled, `count` events have come, or the kernel ends. Secrets in events
    are `***`.
    """

    pattern: str = "*"
    count: int | None = None


class EventListen(Struct):
    """A script's subscription: its events wait for `receive`, or are given to a function (`{"$fn": id}`)."""

    pattern: str
    execute: Mapping[str, Any] | None = None


class EventReceive(Struct):
    """The next event of a subscription, if one comes in time."""

    subscription: str
    timeout_ms: float = 5000


class SubscriptionNamed(Struct):
    """A request about one subscription of the caller's."""

    subscription: str


class EventPublishReply(Struct):
    """The event that was published."""

    id: str
    sequence: int
    correlation_id: str


class EventSubscribed(Struct):
    """The subscription is there: what is published from now on comes."""

    subscription: str


class EventDelta(Struct):
    """One event, and how many were dropped before it because the reader was slow."""

    event: Mapping[str, Any]
    dropped: int = 0


class EventSubscribeReply(Struct):
    """The end of a stream: the events that were sent, and all that were dropped."""

    pattern: str
    events: int
    dropped: int


class EventListenReply(Struct):
    """A new subscription."""

    subscription: str
    pattern: str


class EventReceiveReply(Struct):
    """The event, or null where none came; `dropped` are those that a full buffer has lost so far."""

    event: Mapping[str, Any] | None
    dropped: int


class EventUnsubscribeReply(Struct):
    """Whether there was such a subscription."""

    removed: bool


class SubscriptionSummary(Struct):
    """One subscription."""

    id: str
    pattern: str
    language: str
    owner: str
    """the script context or client that it belongs to"""
    waiting: int
    """events that have not been taken yet"""
    received: int
    dropped: int
    expired: int


class EventSubscriptionsReply(Struct):
    """A script's own subscriptions; for other clients those of all with its key."""

    subscriptions: Sequence[SubscriptionSummary]
    count: int


class EventStatsReply(Struct):
    """What was counted since the kernel began."""

    events_processed: int
    """published"""
    events_filtered: int
    """kept out by `events.filtering`"""
    rate_limit_violations: int
    """left out beyond `events.max_events_per_second`"""
    events_cancelled: int
    """left out by hooks"""
    events_dropped: int
    """pushed out of the buffers of subscriptions that there are"""
    events_expired: int
    """not taken within their time"""
    buffer_size: int
    events_exported: int
    export_dropped: int
    active_subscriptions: int
    """of those that the caller sees"""
    subscriptions_by_language: Mapping[str, int]


_NONE = {"subscription": "00000000-0000-0000-0000-000000000000"}

ACTIONS: Mapping[str, Action] = {
    "publish": Action(
        EventPublish, EventPublishReply, right="execute", example={"event_type": "order.placed", "data": {"id": 7}}
    ),
    "subscribe": Action(
        EventSubscribe,
        EventSubscribeReply,
        right="execute",
        example={"pattern": "order.*", "count": 0},
        progress=(EventSubscribed,),
        delta=EventDelta,
        looks=True,
    ),
    "listen": Action(EventListen, EventListenReply, right="execute", example={"pattern": "order.*"}, from_scripts=True),
    "receive": Action(
        EventReceive, EventReceiveReply, right="execute", example={**_NONE, "timeout_ms": 1}, from_scripts=True
    ),
    "unsubscribe": Action(SubscriptionNamed, EventUnsubscribeReply, right="execute", example=_NONE, from_scripts=True),
    "subscriptions": Action(Empty, EventSubscriptionsReply, right="execute", example={}, looks=True),
    "stats": Action(Empty, EventStatsReply, right="execute", example={}, looks=True),
}
