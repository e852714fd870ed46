"""`llmspell tool search`."""

from __future__ import annotations

import click

from llmspell_cli.commands.tool.requests import ask_tools, category_option, source_option
from llmspell_cli.connect import session
from llmspell_cli.invocation import Options
from llmspell_cli.options import Command, format_option
from llmspell_cli.terminal.output import Output
from llmspell_protocol.errors import InvalidRequest


@click.command(
    "search",
    cls=Command,
    examples=(
        ("llmspell tool search math", "by name, keyword or description"),
        ("llmspell tool search table --category data", "of one category"),
    ),
)
@category_option
@format_option("text", "json", "pretty")
@source_option
@click.argument("words", nargs=-1, required=True, metavar="WORD...")
def search(options: Options, words: tuple[str, ...], category: str | None) -> None:
    """Find tools that have every WORD in name, keywords or description; the best first."""
    output = Output(options)
    query = " ".join(words).strip()
    if not query:
        raise InvalidRequest("there are no words to look for", hint="llmspell tool list shows all tools")
    with session(options, output) as opened:
        reply = ask_tools(opened, "search", query=query, category=category)
    if output.json:
        output.document(reply)
        return
    for tool in reply["matches"]:
        output.line(str(tool["name"]))
    if not reply["matches"]:
        output.line("No tools found")
        output.hint("llmspell tool list shows all tools")
