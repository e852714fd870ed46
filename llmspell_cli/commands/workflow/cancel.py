"""`llmspell workflow cancel`."""

from __future__ import annotations

import click

from llmspell_cli.commands.workflow.requests import ask_workflows
from llmspell_cli.connect import session
from llmspell_cli.invocation import Options
from llmspell_cli.options import Command, format_option
from llmspell_cli.terminal.output import Output


@click.command(
    "cancel",
    cls=Command,
    examples=(
        ("llmspell workflow list --connect auto", "which run"),
        ("llmspell workflow cancel ID --connect auto", "end one"),
    ),
)
@format_option("text", "json", "pretty")
@click.argument("workflow", metavar="ID|NAME")
def cancel(options: Options, workflow: str) -> None:
    """End a workflow that runs, and all that it does.

    One with a checkpoint can be resumed. The beginning of an id is enough where it is the only one.
    """
    output = Output(options)
    with session(options, output) as opened:
        reply = ask_workflows(opened, "cancel", workflow=workflow)
    if output.json:
        output.document(reply)
        return
    for run in reply["cancelled"]:
        output.line(f"✓ Cancelled workflow '{run['name']}' ({run['execution_id']})")
        if run["resumable"]:
            output.hint(f"llmspell workflow resume {run['execution_id']} goes on after the last finished step")
