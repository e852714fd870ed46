"""`llmspell workflow list`."""

from __future__ import annotations

import click

from llmspell_cli.commands.workflow.requests import ask_workflows
from llmspell_cli.connect import session
from llmspell_cli.invocation import Options
from llmspell_cli.options import Command, format_option
from llmspell_cli.terminal.output import Output

_HEADERS = ("ID", "NAME", "STATE", "STARTED", "FINISHED STEPS")


@click.command(
    "list",
    cls=Command,
    examples=(
        ("llmspell workflow list", "those that were cut"),
        ("llmspell workflow list --connect auto", "those that run, too"),
        ("llmspell workflow list --json | jq '.runs[].name'", "for programs"),
    ),
)
@format_option("text", "json", "pretty")
def list_runs(options: Options) -> None:
    """Show workflows that run, and those that were cut and can be resumed."""
    output = Output(options)
    with session(options, output) as opened:
        reply = ask_workflows(opened, "list")
    runs = reply["runs"]
    if output.json:
        origin = {key: value for key, value in reply.items() if key not in ("workflows", "runs", "count")}
        output.document({"runs": runs, "count": len(runs), **origin})
        return
    if not runs:
        output.line("No workflows run, and none were cut")
        return
    rows = [
        (
            str(run["execution_id"]),
            str(run["name"]),
            "cut (by its script)" if run["needs_script"] else str(run["state"]),
            str(run["started_at"]),
            "-" if run["finished_steps"] is None else str(run["finished_steps"]),
        )
        for run in runs
    ]
    output.table(_HEADERS, rows)
