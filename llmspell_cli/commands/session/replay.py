"""`llmspell session replay`."""

from __future__ import annotations

import json
import sys
from typing import Any

import click

from llmspell_cli.commands.session.requests import short_id
from llmspell_cli.connect import session
from llmspell_cli.invocation import Options
from llmspell_cli.options import Command, timeout_option
from llmspell_cli.session import Content, document
from llmspell_cli.terminal.interrupts import Interrupts
from llmspell_cli.terminal.output import Output
from llmspell_cli.terminal.text import short_time
from llmspell_cli.terminal.typed_line import typed_line
from llmspell_protocol.errors import InvalidRequest

MODES = ("exact", "modified", "simulate", "debug")
_MARKS = {"same": "✓", "differs": "≠", "done": "✓", "failed": "✗", "simulated": "·", "skipped": "·"}
_SHOWN = 5
"""Differences of a step that are shown; JSON has them all."""


@click.command(
    "replay",
    cls=Command,
    examples=(
        ("llmspell session replay hello.lua", "with recorded answers"),
        ("llmspell session replay notes --dry-run", "what would be asked"),
        ("llmspell session replay notes --set model mock/b", "something else"),
        ("llmspell session replay notes --mode debug", "step by step"),
    ),
)
@click.option("--mode", type=click.Choice(MODES), help="exact (default): models and tools answer as recorded.")
@click.option("--dry-run", is_flag=True, help="Only show the steps: --mode simulate.")
@click.option(
    "--set",
    "changes",
    nargs=2,
    multiple=True,
    metavar="PATH VALUE",
    help="Ask with another value: options.temperature 0; in step 2 alone: 2.model m.",
)
@click.option("--from-step", type=click.IntRange(1), metavar="N", help="Begin with this step.")
@click.option("--to-step", type=click.IntRange(1), metavar="N", help="End with this step.")
@click.option("--stop-on-error", is_flag=True, help="End with the first step that fails.")
@timeout_option
@click.argument("session_id", metavar="SESSION")
def replay(
    options: Options,
    session_id: str,
    mode: str | None,
    dry_run: bool,
    changes: tuple[tuple[str, str], ...],
    from_step: int | None,
    to_step: int | None,
    stop_on_error: bool,
    timeout_s: float | None,
) -> int:
    """Run a session again and compare: exit status 1 where a step fails."""
    output = Output(options)
    chosen = _mode(mode, dry_run=dry_run, changes=bool(changes))
    watched = sys.stdin.isatty() and sys.stdout.isatty() and not output.json
    if chosen == "debug" and not watched:
        raise InvalidRequest("debug waits at each step for a person at a terminal", hint="use --mode exact")
    with session(options, output) as opened:
        reply = document(
            opened.ask(
                "session_request",
                {
                    "action": "replay",
                    "session": session_id,
                    "mode": chosen,
                    "from_step": from_step,
                    "to_step": to_step,
                    "stop_on_error": stop_on_error,
                    "modifications": [{"path": path, "value": _value(text)} for path, text in changes],
                    "timeout_seconds": timeout_s,
                    "allow_stdin": chosen == "debug",
                },
                on_progress=None if output.json else lambda step: _show(output, step),
                on_input=_answer if chosen == "debug" else None,
                timeout_s=timeout_s,
            )
        )
    if output.json:
        output.document({**reply, "status": reply["outcome"]})
    else:
        _show_end(output, reply)
    return 1 if reply["failed_replays"] else 0


def _mode(mode: str | None, *, dry_run: bool, changes: bool) -> str:
    wanted = {name for name, is_meant in (("simulate", dry_run), ("modified", changes)) if is_meant}
    if mode is not None:
        wanted.add(mode)
    if len(wanted) > 1:
        raise InvalidRequest(f"this can't be {' and '.join(sorted(wanted))} at once", hint="--set needs mode modified")
    return wanted.pop() if wanted else "exact"


def _value(text: str) -> Any:
    """JSON where it is JSON, else the text."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _answer(prompt: str, _password: bool) -> str | None:
    with Interrupts() as interrupts:
        return typed_line(interrupts, prompt)


def _show(output: Output, step: Content) -> None:
    name = " ".join(filter(None, (step["action"], step["details"])))
    served = f", {step['served']} recorded answer{'' if step['served'] == 1 else 's'}" if step["served"] else ""
    word = "not run" if step["status"] == "simulated" else step["status"]
    output.line(
        f"{_MARKS[step['status']]} step {step['step']} {word}: {name} ({short_time(step['duration_ms'])}{served})"
    )
    if step["error"]:
        output.line(f"    {step['error']}")
    for said, found in (("", step["differences"]), ("asked otherwise: ", step["asked_otherwise"])):
        for one in found[:_SHOWN]:
            output.line(f"    {said}{one['path']}: {one['description']}")
        if len(found) > _SHOWN:
            output.line(f"    and {len(found) - _SHOWN} more")


def _show_end(output: Output, reply: Content) -> None:
    steps = reply["steps"]
    if not steps:
        output.line(f"Session {short_id(reply['session_id'])} has no steps")
        return
    counts = {status: sum(step["status"] == status for step in steps) for status in _MARKS}
    said = ", ".join(
        f"{count} {'not run' if status == 'simulated' else status}" for status, count in counts.items() if count
    )
    output.line(f"{len(steps)} step{'' if len(steps) == 1 else 's'}: {said}")
