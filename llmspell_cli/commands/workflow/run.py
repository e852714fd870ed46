"""`llmspell workflow run`: a workflow from a JSON file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import click

from llmspell_cli.commands.workflow.requests import executed, show_end, watch_option
from llmspell_cli.connect import session
from llmspell_cli.invocation import Options
from llmspell_cli.json_file import json_object
from llmspell_cli.options import format_option, timeout_option
from llmspell_cli.permissions import PermittingCommand, permission_options
from llmspell_cli.terminal.input_text import file_text, stdin_text
from llmspell_cli.terminal.output import Output
from llmspell_cli.workflows.view import WorkflowView
from llmspell_protocol.errors import InvalidRequest


@click.command(
    "run",
    cls=PermittingCommand,
    examples=(
        ("llmspell workflow run report.json", "from a file"),
        ("""llmspell workflow run FILE --input '{"topic": "sea"}'""", "its input"),
        ("llmspell workflow run FILE --input @input.json", "from a file"),
        ("llmspell workflow run FILE --watch", "see its steps"),
        ("llmspell workflow run FILE --json | jq .result", "for programs"),
    ),
)
@click.option("--input", "given", metavar="JSON", help="Its input: a JSON object, a text, @FILE, or - for stdin.")
@watch_option
@timeout_option
@format_option("text", "json", "pretty")
@permission_options
@click.argument("file", metavar="FILE")
def run(
    options: Options,
    file: str,
    given: str | None,
    watch: bool,
    timeout_s: float | None,
    allow: Mapping[str, Sequence[str]],
) -> None:
    """Run the workflow in a JSON file, and show its output.

    FILE has what Workflow.to_json writes; - is standard input.
    """
    output = Output(options)
    if file == "-" and given == "-":
        raise InvalidRequest("standard input can't be both the workflow and its input")
    definition = json_object(
        stdin_text() if file == "-" else file_text(file), "standard input" if file == "-" else file
    )
    with session(options, output) as opened, WorkflowView(output, "workflow run", watch=watch) as view:
        reply = executed(
            opened,
            output,
            view,
            "execute",
            allow=allow,
            timeout_s=timeout_s,
            resumable=definition.get("checkpoint") is True,
            definition=definition,
            input=_input(given),
        )
    show_end(output, reply, watch=watch)


def _input(given: str | None) -> Any:
    """A JSON object or list, or the text itself.

    Raises:
        NotFound: there is no such file.
        InvalidRequest: it begins as JSON and is none.
    """
    if given is None:
        return None
    where = "--input"
    if given == "-":
        given, where = stdin_text(), "standard input"
    elif given.startswith("@"):
        given, where = file_text(given[1:]), given[1:]
    text = given.strip()
    if text.startswith("["):
        try:
            return json.loads(text)
        except ValueError as error:
            raise InvalidRequest(f"{where}: {error}") from None
    return json_object(text, where) if text.startswith("{") else given
