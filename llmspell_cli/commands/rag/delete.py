"""`llmspell rag delete`."""

from __future__ import annotations

import click

from llmspell_cli.commands.rag.origins import whole
from llmspell_cli.commands.rag.passages import is_address
from llmspell_cli.commands.rag.requests import (
    Place,
    ask_rag,
    demand_named,
    filter_option,
    place_options,
    wanted_metadata,
)
from llmspell_cli.commands.rag.taken import removed_text
from llmspell_cli.connect import session
from llmspell_cli.invocation import Options
from llmspell_cli.options import Command
from llmspell_cli.terminal.output import Output
from llmspell_protocol.errors import InvalidRequest, NotFound


@click.command(
    "delete",
    cls=Command,
    examples=(
        ("llmspell rag delete today", "by its id, as rag list shows it"),
        ("llmspell rag delete --source docs/old", "all from this directory"),
        ("llmspell rag delete --filter year=2019", "by metadata"),
    ),
)
@place_options
@click.option("--source", "sources", multiple=True, metavar="PATH", help="From this file, directory or address.")
@filter_option
@click.argument("ids", nargs=-1, metavar="[DOCUMENT]...")
def delete(
    options: Options, place: Place, ids: tuple[str, ...], sources: tuple[str, ...], filters: tuple[str, ...]
) -> None:
    """Remove documents: by id, by where they come from, or by metadata. Their files stay."""
    output = Output(options)
    wanted = wanted_metadata(filters)
    if not (ids or sources or wanted):
        raise InvalidRequest(
            "it is not said which documents", hint="a DOCUMENT, --source or --filter; all: llmspell rag clear"
        )
    named = [one if is_address(one) else whole(one) for one in sources]
    with session(options, output) as opened:
        reply = ask_rag(opened, "delete", **place.fields, ids=ids, sources=named, filter=wanted)
        if ids and not reply["documents"]:
            # A file's id is its path, which lists show as short as it can be typed from here.
            paths = [whole(one) for one in ids if not is_address(one)]
            reply = ask_rag(opened, "delete", **place.fields, ids=paths) if paths else reply
        if not reply["documents"]:
            demand_named(opened, place)
    if not reply["documents"]:
        raise NotFound(
            f"{place.words} has no such document",
            hint=" ".join(["llmspell rag list", *place.options]),
            details={"ids": list(ids), "sources": named, "filter": wanted},
        )
    if output.json:
        output.document(reply)
        return
    output.line(f"✓ Removed {removed_text(reply)}")
    if not (sources or wanted) and reply["documents"] < len(set(ids)):
        output.warning(f"{len(set(ids)) - reply['documents']} of the ids are not there")
