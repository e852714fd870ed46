"""`llmspell rag list`."""

from __future__ import annotations

from typing import Any

import click

from llmspell_cli.commands.rag.passages import short_source
from llmspell_cli.commands.rag.requests import Place, ask_rag, demand_named, place_options
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
@click.option("--after", metavar="DOCUMENT", help="Those behind this one.")
@click.option("-v", "--verbose", is_flag=True, help="Titles, kinds, ends and metadata too.")
@format_option("text", "json", "pretty")
def list_documents(options: Options, place: Place, limit: int | None, after: str | None, verbose: bool) -> None:
    """Show the documents of a collection, by id."""
    output = Output(options)
    with session(options, output) as opened:
        reply = _pages(opened, place, limit, after)
        if not reply["documents"]:
            demand_named(opened, place)
    documents = reply["documents"]
    if output.json:
        output.document(reply)
        return
    if not documents:
        output.line("No documents found")
        output.hint("llmspell rag ingest PATH takes some in; llmspell rag collections shows where there are any")
        return
    has_sources = any(one["source"] not in (None, one["id"]) for one in documents)
    columns = ("DOCUMENT", "PASSAGES", "SIZE", "ADDED", *(("SOURCE",) * has_sources))
    more = ("TITLE", "KIND", "EXPIRES", "METADATA") if verbose else ()
    output.table((*columns, *more), [_row(one, has_sources=has_sources, verbose=verbose) for one in documents])


def _pages(opened: Session, place: Place, limit: int | None, after: str | None) -> Content:
    """The documents of all pages as one reply."""
    documents: list[Content] = []
    while True:
        left = _PAGE if limit is None else min(limit - len(documents), _PAGE)
        reply = ask_rag(opened, "list", **place.fields, after=after, limit=left)
        documents += reply["documents"]
        after = reply["after"]
        if after is None or len(documents) == limit:
            return {**reply, "documents": documents, "count": len(documents)}


def _row(one: Content, *, has_sources: bool, verbose: bool) -> tuple[str, ...]:
    source = (short_source(one["source"]) or "-",) if has_sources else ()
    row = (short_source(one["id"]), str(one["chunks"]), size(one["bytes"]), date(one["added_at"]), *source)
    if not verbose:
        return row
    return (*row, one["title"] or "-", one["media_type"] or "-", date(one["expires_at"]), _said(one["metadata"]) or "-")


def _said(metadata: dict[str, Any]) -> str:
    return " ".join(f"{key}={value}" for key, value in metadata.items())
