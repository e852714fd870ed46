"""`llmspell rag stats`."""

from __future__ import annotations

import click

from llmspell_cli.commands.rag.requests import Place, ask_rag, demand_named, place_options
from llmspell_cli.connect import session
from llmspell_cli.invocation import Options
from llmspell_cli.options import Command, format_option
from llmspell_cli.terminal.output import Output
from llmspell_cli.terminal.text import size


@click.command(
    "stats",
    cls=Command,
    examples=(
        ("llmspell rag stats", "of all collections"),
        ("llmspell rag stats --collection notes", "of one"),
        ("llmspell rag stats --json | jq .vectors", "for programs"),
    ),
)
@place_options
@format_option("text", "json", "pretty")
def stats(options: Options, place: Place) -> None:
    """Show how much there is, and what this kernel has embedded and looked for."""
    output = Output(options)
    with session(options, output) as opened:
        reply = ask_rag(opened, "stats", **place.fields)
        if not reply["documents"]:
            demand_named(opened, place)
    if output.json:
        output.document(reply)
        return
    output.properties(
        [
            ("Documents", f"{reply['documents']:,}"),
            ("Passages", f"{reply['chunks']:,}"),
            ("Vectors", f"{reply['vectors']:,}"),
            ("Collections", f"{reply['collections']:,}"),
            ("Size", size(reply["bytes"])),
            ("Embedded", f"{reply['embeddings']:,} passages, {reply['embedding_tokens']:,} tokens"),
            ("From the cache", f"{reply['cached']:,}"),
            ("Searches", f"{reply['searches']:,}"),
        ]
    )
