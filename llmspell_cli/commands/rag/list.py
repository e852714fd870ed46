"""`llmspell rag list`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from llmspell_cli.commands.rag.passages import short_source
from llmspell_cli.commands.rag.requests import Place, ask_rag, place_options
from llmspell_cli.connect import session
from llmspell_cli.invocation import Options
from llmspell_cli.options import Command, format_option
from llmspell_cli.session import Content, Session
from llmspell_cli.terminal.output import Output
from llmspell_cli.terminal.text import date, size

_PAGE = 1000


@click.command(
    "list",
    cls=Command,
    examples=(
        ("llmspell rag list", "of the default collection"),
        ("llmspell rag list --collection notes -v", "with titles, kinds and metadata"),
        ("llmspell rag list --json | jq -r '.documents[].id'", "for programs"),
    ),
)
@place_options
@click.option("--limit", type=click.IntRange(1), metavar="N", help="So many at most.")
@click.option("-v", "--verbose", is_flag=True, help="Titles, kinds, ends and metadata too.")
@format_option("text", "json", "pretty")
def list_documents(options: Options, place: Place, limit: int | None, verbose: bool) -> None:
    """Show the documents of a collection, by id."""
    output = Output(options)
    with session(options, output) as opened:
        documents = list(_documents(opened, place, limit))
    if output.json:
        output.document({"documents": documents, "count": len(documents)})
        return
    if not documents:
        output.line("No documents found")
        output.hint("llmspell rag ingest PATH takes some in; llmspell rag collections shows where there are any")
        return
    headers = ("ID", "PASSAGES", "SIZE", "ADDED", "SOURCE", *(("TITLE", "KIND", "EXPIRES", "METADATA") * verbose))
    output.table(headers, [_row(one, verbose=verbose) for one in documents])


def _documents(opened: Session, place: Place, limit: int | None) -> Iterator[Content]:
    """The documents, page by page."""
    after: str | None = None
    left = limit
    while left is None or left > 0:
        page = _PAGE if left is None else min(left, _PAGE)
        reply = ask_rag(opened, "list", **place.fields, after=after, limit=page)
        yield from reply["documents"]
        after = reply["after"]
        if after is None:
            return
        left = None if left is None else left - len(reply["documents"])


def _row(one: Content, *, verbose: bool) -> tuple[str, ...]:
    row = (one["id"], str(one["chunks"]), size(one["bytes"]), date(one["added_at"]), short_source(one["source"]) or "-")
    if not verbose:
        return row
    return (*row, one["title"] or "-", one["media_type"] or "-", date(one["expires_at"]), _said(one["metadata"]) or "-")


def _said(metadata: dict[str, Any]) -> str:
    return " ".join(f"{key}={value}" for key, value in metadata.items())
