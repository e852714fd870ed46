"""An event among hooks: what they are told of it, and what it is as they left it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from llmspell_kernel.services.events.event import Event
from llmspell_kernel.services.events.own_types import demand_free
from llmspell_kernel.services.events.sizes import demand_size, demand_type
from llmspell_kernel.services.hooks.component import Component
from llmspell_kernel.services.hooks.verdict import Verdict


def component_of(event: Event) -> Component:
    """What hooks are told that the event is."""
    return Component("event", event.event_type)


def seen(event: Event) -> dict[str, Any]:
    """What hooks are told of the event."""
    return {"event_type": event.event_type, "data": event.data, "event": event.as_content()}


def check(event: Event, verdict: Verdict) -> None:
    """Raises `InvalidRequest` or `Forbidden` where the event can't be what a hook wants to make of it."""
    if verdict.kind == "redirect":
        demand_type(verdict.target)
        demand_free(verdict.target, "")
    elif (data := _given(event, verdict)) is not event.data:
        demand_size([data, event.metadata])


def _given(event: Event, verdict: Verdict) -> Any:
    if verdict.kind == "replace":
        return verdict.value
    return verdict.data.get("data") if verdict.kind == "modified" else event.data


def changed(event: Event, verdict: Verdict) -> Event | None:
    """The event as hooks left it; None: they left it out."""
    if verdict.kind in ("cancel", "skip"):
        return None
    if verdict.kind == "redirect":
        event = replace(event, event_type=verdict.target)
    data = verdict.value if verdict.kind == "replace" else verdict.data.get("data")
    if data is event.data:
        return event
    return replace(event, data=data, size=demand_size([data, event.metadata]))
