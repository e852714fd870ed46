"""`llmspell workflow resume`: goes on with a workflow that was cut."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import click

from llmspell_cli.commands.workflow.requests import executed, show_end, watch_option
from llmspell_cli.connect import session
from llmspell_cli.invocation import Options
from llmspell_cli.options import format_option, timeout_option
from llmspell_cli.permissions import PermittingCommand, permission_options
from llmspell_cli.terminal.output import Output
from llmspell_cli.workflows.view import WorkflowView


@click.command(
    "resume",
    cls=PermittingCommand,
    examples=(
        ("llmspell workflow list", "which were cut"),
        ("llmspell workflow resume ID", "go on with one"),
        ("llmspell workflow resume ID --watch", "and see its steps"),
    ),
)
@watch_option
@timeout_option
@format_option("text", "json", "pretty")
@permission_options
@click.argument("execution_id", metavar="ID")
def resume(
    options: Options, execution_id: str, watch: bool, timeout_s: float | None, allow: Mapping[str, Sequence[str]]
) -> None:
    """Go on with a workflow that was cut, after its last finished step.

    It has to have been run with "checkpoint": true. Permissions are given anew. The beginning of
    its id is enough where it is the only one.
    """
    output = Output(options)
    with session(options, output) as opened, WorkflowView(output, "workflow resume", watch=watch) as view:
        reply = executed(
            opened,
            output,
            view,
            "resume",
            allow=allow,
            timeout_s=timeout_s,
            resumable=True,
            execution_id=execution_id,
        )
    show_end(output, reply, watch=watch)
