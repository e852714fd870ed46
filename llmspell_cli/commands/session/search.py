"""`llmspell session search`."""

from __future__ import annotations

import click

from llmspell_cli.commands.session.requests import ask_sessions, short_id
from llmspell_cli.connect import session
from llmspell_cli.invocation import Options
from llmspell_cli.options import Command, format_option
from llmspell_cli.terminal.output import Output


@click.command(
    "search",
    cls=Command,
    examples=(
        ("llmspell session search paris", "in questions and answers"),
        ("llmspell session search capital italy --limit 3", "both words"),
        ("llmspell session search paris --json", "for programs"),
    ),
)
@click.option("--limit", type=click.IntRange(1, 1000), default=20, metavar="N", help="So many at most (20).")
@format_option("text", "json", "pretty")
@click.argument("words", nargs=-1, required=True, metavar="WORD...")
def search(options: Options, words: tuple[str, ...], limit: int) -> None:
    """Find the steps in which all words stand, the best match first."""
    output = Output(options)
    with session(options, output) as opened:
        reply = ask_sessions(opened, "search", query=" ".join(words), limit=limit)
    if output.json:
        output.document(reply)
    elif not reply["matches"]:
        output.line("Nothing found")
    else:
        rows = [(short_id(one["session"]), one["name"], one["step"], one["text"]) for one in reply["matches"]]
        output.table(("ID", "NAME", "STEP", "TEXT"), rows)
