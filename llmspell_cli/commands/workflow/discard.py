"""`llmspell workflow discard`."""

from __future__ import annotations

import click

from llmspell_cli.commands.workflow.requests import ask_workflows
from llmspell_cli.connect import session
from llmspell_cli.invocation import Options
from llmspell_cli.options import Command, format_option
from llmspell_cli.terminal.output import Output


@click.command(
    "discard",
    cls=Command,
    examples=(
        ("llmspell workflow list", "which were cut"),
        ("llmspell workflow discard ID", "forget one"),
    ),
)
@format_option("text", "json", "pretty")
@click.argument("execution_id", metavar="ID")
def discard(options: Options, execution_id: str) -> None:
    """Forget a workflow that was cut: it can't be resumed any more.

    The beginning of its id is enough where it is the only one.
    """
    output = Output(options)
    with session(options, output) as opened:
        reply = ask_workflows(opened, "discard", execution_id=execution_id)
    if output.json:
        output.document(reply)
        return
    output.line(f"✓ Discarded workflow '{reply['run']['name']}' ({reply['run']['execution_id']})")
