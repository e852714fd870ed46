"""`llmspell events`: what was published on a running kernel, and with --follow what is from now on."""

from __future__ import annotations

import sys
from typing import Any

import click

from llmspell_cli.connect import resident_session
from llmspell_cli.invocation import Options
from llmspell_cli.options import Command, format_option
from llmspell_cli.session import Content, document
from llmspell_cli.terminal.output import Output, compact
from llmspell_cli.terminal.visible import visible
from llmspell_protocol.errors import InvalidRequest


@click.command(
    "events",
    cls=Command,
    examples=(
        ("llmspell events", "counts, and who has subscribed"),
        ("llmspell events --follow", "as they are published"),
        ("llmspell events --follow 'tool.*' --json", "of tools; one a line"),
        ("llmspell events -f 'order.*' -n 1", "until the next one"),
    ),
)
@click.option("-f", "--follow", is_flag=True, help="Show events as they are published, until Ctrl+C.")
@click.option("-n", "--count", type=click.IntRange(0), metavar="N", help="With --follow: end after so many.")
@format_option("text", "json", "pretty")
@click.argument("pattern", required=False)
def events(options: Options, follow: bool, count: int | None, pattern: str | None) -> None:
    """Show what a running kernel's events are, or follow them.

    PATTERN chooses types: * is any run of characters, ? one.
    """
    output = Output(options)
    if not follow and (pattern is not None or count is not None):
        raise InvalidRequest("a pattern and --count mean something with --follow only", hint="add --follow")
    with resident_session(options, output) as opened:
        if not follow:
            stats = document(opened.ask("event_request", {"action": "stats"}))
            subscribed = document(opened.ask("event_request", {"action": "subscriptions"}))
            _show_stats(output, {**stats, "subscriptions": subscribed["subscriptions"]})
            return
        wanted = {"action": "subscribe", "pattern": pattern or "*", "count": count}
        reply = document(opened.ask("event_request", wanted, on_delta=lambda delta: _show(output, delta)))
    if output.json:
        output.last_event({"event": "end", **reply})
    elif count is None or reply["events"] < count:
        output.note("the kernel is shutting down; no more events will come")


def _show(output: Output, delta: Content) -> None:
    event = delta["event"]
    if output.json:
        output.event({"event": "published", "dropped": delta["dropped"], "published": event})
        return
    if delta["dropped"]:
        output.warning(f"{delta['dropped']} events were dropped: they came faster than they were read")
    data = "" if event.get("data") is None else f" {compact(event['data'], sys.stdout)}"
    output.write(f"{event['timestamp']} {visible(str(event['event_type']))}{data}\n")


def _show_stats(output: Output, found: dict[str, Any]) -> None:
    if output.json:
        output.document(found)
        return
    for label, key in _COUNTS:
        output.line(f"{label}: {found[key]}")
    subscriptions = found["subscriptions"]
    if subscriptions:
        output.line()
        rows = [
            (one["pattern"], one["owner"], str(one["waiting"]), str(one["received"]), str(one["dropped"]))
            for one in subscriptions
        ]
        output.table(("PATTERN", "OF", "WAITING", "RECEIVED", "DROPPED"), rows)


_COUNTS = (
    ("Published", "events_processed"),
    ("Kept out by filters", "events_filtered"),
    ("Beyond the rate", "rate_limit_violations"),
    ("Cancelled by hooks", "events_cancelled"),
    ("Dropped", "events_dropped"),
    ("Expired", "events_expired"),
    ("Subscriptions", "active_subscriptions"),
)
