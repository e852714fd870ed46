"""`llmspell session replay`."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import click

from llmspell_cli.commands.session.requests import short_id
from llmspell_cli.connect import session
from llmspell_cli.invocation import Options
from llmspell_cli.options import Command, timeout_option
from llmspell_cli.session import Content, Session, document
from llmspell_cli.terminal.interrupts import Interrupts
from llmspell_cli.terminal.output import Output
from llmspell_cli.terminal.text import short_time
from llmspell_cli.terminal.typed_line import typed_line
from llmspell_protocol.errors import InvalidRequest

MODES = ("exact", "modified", "simulate", "debug")
_MARKS = {
    "same": "✓",
    "differs": "≠",
    "done": "✓",
    "recorded": "·",
    "failed": "✗",
    "simulated": "·",
    "skipped": "·",
}
_WORDS = {"simulated": "not run", "recorded": "as recorded"}
_LONGEST = 100
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
    content = {
        "action": "replay",
        "session": session_id,
        "mode": chosen,
        "from_step": from_step,
        "to_step": to_step,
        "stop_on_error": stop_on_error,
        "modifications": [{"path": path, "value": _value(text)} for path, text in changes],
        "allow_stdin": chosen == "debug",
    }
    with session(options, output) as opened:
        reply = _asked(opened, output, content, timeout_s)
    if output.json:
        output.document({**reply, "status": reply["outcome"]})
    else:
        _show_end(output, reply)
    return 1 if reply["failed_replays"] else 0


def _asked(opened: Session, output: Output, content: Content, timeout_s: float | None) -> Content:
    """The whole replay, of whose steps a reply has some."""
    whole: Content | None = None
    began = time.monotonic()
    while True:
        left = None if timeout_s is None else max(timeout_s - (time.monotonic() - began), 0.001)
        reply = document(
            opened.ask(
                "session_request",
                {**content, "timeout_seconds": left},
                on_progress=None if output.json else lambda step: _show(output, step),
                on_input=_answer if content["allow_stdin"] else None,
                timeout_s=left,
            )
        )
        following = reply.pop("next", None)
        if whole is None:
            whole = reply
        else:
            whole["steps"] += reply["steps"]
            for name in ("total_duration_ms", "successful_replays", "failed_replays"):
                whole[name] += reply[name]
            whole["outcome"] = "failed" if whole["failed_replays"] else "completed"
        if following is None:
            return whole
        content = {**content, "session": whole["session_id"], "from_step": following}


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
    word = _WORDS.get(step["status"], step["status"])
    output.line(f"{_MARKS[step['status']]} step {step['step']} {word}: {name}{_figures(step)}")
    if step["status"] in _WORDS:
        # Nothing has run: what there is to be seen is what was said.
        for mark, said in (("> ", step["asked"]), ("", step["answered"])):
            if said and step["action"] != "execute":
                output.line(f"    {mark}{_one_line(said)}")
    if step["error"]:
        output.line(f"    {step['error']}")
    for said, found in (("", step["differences"]), ("asked otherwise: ", step["asked_otherwise"])):
        for one in found[:_SHOWN]:
            output.line(f"    {said}{one['path']}: {one['description']}")
        if len(found) > _SHOWN:
            output.line(f"    and {len(found) - _SHOWN} more")


def _figures(step: Content) -> str:
    """How long it took, and how many answers the record gave; nothing of what was not run."""
    if step["status"] in _WORDS or step["status"] == "skipped":
        return ""
    served = f", {step['served']} recorded answer{'' if step['served'] == 1 else 's'}" if step["served"] else ""
    return f" ({short_time(step['duration_ms'])}{served})"


def _show_end(output: Output, reply: Content) -> None:
    steps = reply["steps"]
    if not steps:
        output.line(f"Session {short_id(reply['session_id'])} has no steps")
        return
    counts = {status: sum(step["status"] == status for step in steps) for status in _MARKS}
    said = ", ".join(f"{count} {_WORDS.get(status, status)}" for status, count in counts.items() if count)
    output.line(f"{len(steps)} step{'' if len(steps) == 1 else 's'}: {said}")
    if counts["recorded"]:
        output.hint("what was recorded of models and tools is not asked again: --set model NAME asks, and compares")


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"
