"""`llmspell session list`."""

from __future__ import annotations

import click

from llmspell_cli.commands.session.requests import ask_sessions, short_id, tell_how_to_record
from llmspell_cli.connect import session
from llmspell_cli.invocation import Options
from llmspell_cli.options import Command, format_option
from llmspell_cli.session import Content
from llmspell_cli.terminal.output import Output
from llmspell_cli.terminal.text import date

STATUSES = ("active", "suspended", "completed", "failed")


@click.command(
    "list",
    cls=Command,
    examples=(
        ("llmspell session list", "the last used first"),
        ("llmspell session list -v --limit 5", "when, which kind, tags"),
        ("llmspell session list --status failed", "what went wrong"),
        ("llmspell session list --json | jq -r '.sessions[].id'", "for programs"),
    ),
)
@click.option("-v", "--verbose", "--detailed", "verbose", is_flag=True, help="Kind, times and tags too.")
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
    headers = ("ID", "NAME", "STATUS", "STEPS", "ARTIFACTS", *(("KIND", "BEGUN", "LAST USED", "TAGS") * verbose))
    output.table(headers, [_row(one, verbose=verbose) for one in reply["sessions"]])


def _row(one: Content, *, verbose: bool) -> tuple[str, ...]:
    row = (short_id(one["id"]), one["name"], one["status"], str(one["steps"]), str(one["artifacts"]))
    if not verbose:
        return row
    return (*row, one["kind"], date(one["created_at"]), date(one["last_activity"]), ", ".join(one["tags"]) or "-")
