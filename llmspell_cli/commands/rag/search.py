"""`llmspell rag search`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from llmspell_cli.commands.rag.passages import show_passage
from llmspell_cli.commands.rag.requests import Place, ask_rag, demand_named, of_search, one_query, place_options, tell
from llmspell_cli.connect import session
from llmspell_cli.invocation import Options
from llmspell_cli.options import Command, format_option
from llmspell_cli.terminal.output import Output


@click.command(
    "search",
    cls=Command,
    examples=(
        ('llmspell rag search "how do I open a port"', "the best five passages"),
        ("llmspell rag search ECONNREFUSED --method words -k 1", "where this word stands"),
        ("llmspell rag search budget --filter year=2024", "of these documents"),
        ("llmspell rag search budget --full --collection notes", "whole passages"),
        ("llmspell rag search budget --json | jq '.hits[].source'", "for programs"),
    ),
)
@place_options
@of_search
@click.option("--full", is_flag=True, help="Show whole passages.")
@click.option("-v", "--verbose", is_flag=True, help="Show ids, metadata and how each was found.")
@format_option("text", "json", "pretty")
@click.argument("query", nargs=-1, required=True, metavar="QUERY...")
def search(
    options: Options, place: Place, query: tuple[str, ...], chosen: Mapping[str, Any], full: bool, verbose: bool
) -> None:
    """Find the passages that fit a question, the best first.

    By words and by meaning together, unless --method names one. QUERY - is standard input.
    """
    output = Output(options)
    text = one_query(query)
    with session(options, output, needs_model=True) as opened:
        reply = ask_rag(opened, "search", query=text, **place.fields, **chosen)
        if not reply["hits"]:
            demand_named(opened, place)
    tell(output, reply["warnings"])
    if output.json:
        output.document(reply)
    elif not reply["hits"]:
        output.line("Nothing found")
        output.hint(" ".join(["llmspell rag list", *place.options, "shows what is there"]))
    for number, hit in enumerate(() if output.json else reply["hits"], 1):
        if number > 1:
            output.line()
        show_passage(output, number, hit, text, full=full, verbose=verbose)
