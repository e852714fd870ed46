"""`llmspell session list`."""

from __future__ import annotations

import sys

import click

from llmspell_cli.commands.session.requests import ask_sessions, short_id, tell_how_to_record
from llmspell_cli.connect import session
from llmspell_cli.invocation import Options
from llmspell_cli.options import Command, format_option
from llmspell_cli.session import Content
from llmspell_cli.terminal.output import Output, room
from llmspell_cli.terminal.text import beginning, date
from llmspell_cli.terminal.visible import visible

_LONGEST_NAME = 60
"""Columns of a name; -v has it whole."""
_SHORTEST_NAME = 16
_BESIDE = 57
"""What the other columns take of a terminal."""

STATUSES = ("active", "suspended", "completed", "failed")


@click.command(
    "list",
    cls=Command,
    examples=(
        ("llmspell session list", "the last used first"),
        ("llmspell session list -v --limit 5", "whole names, kinds, times, tags"),
        ("llmspell session list --status failed", "what went wrong"),
        ("llmspell session list --json | jq -r '.sessions[].id'", "for programs"),
    ),
)
@click.option("-v", "--verbose", "--detailed", "verbose", is_flag=True, help="Whole names; kind, times and tags too.")
@click.option("--status", type=click.Choice(STATUSES), help="Only these.")
@click.option("--limit", type=click.IntRange(1), metavar="N", help="So many at most.")
@format_option("text", "json", "pretty")
def list_sessions(options: Options, verbose: bool, status: str | None, limit: int | None) -> None:
    """Show sessions, the last used first."""
    output = Output(options)
    with session(options, output) as opened:
        reply = ask_sessions(opened, "list", status=status, limit=limit)
    if output.json:
        output.document({key: value for key, value in reply.items() if key != "status"})
        return
    if not reply["sessions"]:
        output.line("No sessions found")
        tell_how_to_record(output, reply)
        return
    output.line(f"Sessions ({reply['count']} total):")
    output.line()
    headers = ("ID", "NAME", "LAST USED", "STATUS", "STEPS", "ARTIFACTS", *(("KIND", "BEGUN", "TAGS") * verbose))
    width = room(sys.stdout)
    name_columns = _LONGEST_NAME if width is None else max(_SHORTEST_NAME, min(width - _BESIDE, _LONGEST_NAME))
    output.table(headers, [_row(one, verbose=verbose, name_columns=name_columns) for one in reply["sessions"]])


def _row(one: Content, *, verbose: bool, name_columns: int) -> tuple[str, ...]:
    name = one["name"] if verbose else beginning(visible(one["name"]), name_columns)
    counts = str(one["steps"]), str(one["artifacts"])
    row = (short_id(one["id"]), name, date(one["last_activity"]), one["status"], *counts)
    if not verbose:
        return row
    return (*row, one["kind"], date(one["created_at"]), ", ".join(one["tags"]) or "-")
