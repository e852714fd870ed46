"""`llmspell rag clear`."""

from __future__ import annotations

import click

from llmspell_cli.commands.rag.requests import Place, ask_rag, demand_collection, place_options
from llmspell_cli.commands.rag.taken import removed_text
from llmspell_cli.connect import session
from llmspell_cli.invocation import Options
from llmspell_cli.options import Command
from llmspell_cli.terminal.output import Output
from llmspell_cli.terminal.prompt import confirmed


@click.command(
    "clear",
    cls=Command,
    examples=(
        ("llmspell rag clear --collection notes", "asks first"),
        ("llmspell rag clear --yes", "the default collection, without a question"),
    ),
)
@place_options
@click.option("-y", "--yes", is_flag=True, help="Don't ask.")
def clear(options: Options, place: Place, yes: bool) -> None:
    """Remove all documents of a collection. Their files stay."""
    output = Output(options)
    with session(options, output) as opened:
        found = demand_collection(opened, place)
        many = "1 document" if found["documents"] == 1 else f"{found['documents']:,} documents"
        if not confirmed(output, f"Remove {place.words} with {many}?", yes=yes):
            return
        reply = ask_rag(opened, "clear", **place.fields)
    if output.json:
        output.document(reply)
    else:
        output.line(f"✓ Removed {removed_text(reply)}")
