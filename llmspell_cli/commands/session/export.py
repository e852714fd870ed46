"""`llmspell session export`."""

from __future__ import annotations

import os

import click

from llmspell_cli.commands.session.requests import Shown
from llmspell_cli.commands.session.transcript import markdown
from llmspell_cli.connect import session
from llmspell_cli.invocation import Options
from llmspell_cli.json_file import write_json, write_private
from llmspell_cli.options import Command
from llmspell_cli.session import Content
from llmspell_cli.terminal.output import Output, document_text


@click.command(
    "export",
    cls=Command,
    examples=(
        ("llmspell session export notes", "as Markdown, to standard output"),
        ("llmspell session export notes notes.md", "into a file"),
        ("llmspell session export notes notes.json", "as JSON, by its name"),
        ("llmspell session export notes --format json", "the same to standard output"),
    ),
)
@click.option("--format", "kind", type=click.Choice(("markdown", "json")), help="Default: by the file's name.")
@click.argument("session_id", metavar="SESSION")
@click.argument("file", metavar="FILE", required=False)
def export(options: Options, session_id: str, file: str | None, kind: str | None) -> None:
    """Write a session as Markdown or JSON.

    Without FILE, or with -, to standard output.
    """
    output = Output(options)
    path = None if file in (None, "-") else file
    kind = kind or ("json" if path is not None and path.endswith(".json") else "markdown")
    with session(options, output) as opened:
        whole = Shown(opened, session_id).whole()
    if path is None:
        _print(output, whole, kind)
        return
    if kind == "json":
        write_json(path, whole)
    else:
        write_private(path, markdown(whole))
    if output.json:
        output.document(
            {"status": "exported", "session": whole["session"]["id"], "path": os.path.abspath(path), "format": kind}
        )
    else:
        output.line(f"✓ Exported session to {path}")


def _print(output: Output, whole: Content, kind: str) -> None:
    if output.json:
        text = markdown(whole) if kind == "markdown" else None
        output.document({"session": whole["session"]["id"], "format": kind, "text": text, "content": whole})
    elif kind == "json":
        import sys

        output.lines(document_text(whole, sys.stdout))
    else:
        output.as_it_is(markdown(whole))
