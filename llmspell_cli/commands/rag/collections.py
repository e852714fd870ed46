"""`llmspell rag collections`."""

from __future__ import annotations

import click

from llmspell_cli.commands.rag.requests import ask_rag
from llmspell_cli.connect import session
from llmspell_cli.invocation import Options
from llmspell_cli.options import Command, format_option
from llmspell_cli.session import Content
from llmspell_cli.terminal.output import Output
from llmspell_cli.terminal.text import date, home_path, size


@click.command(
    "collections",
    cls=Command,
    examples=(
        ("llmspell rag collections", "what is in each, and its model"),
        ("llmspell rag collections --tenant acme", "of a tenant"),
        ("llmspell rag collections --json | jq .count", "for programs"),
    ),
)
@click.option("--tenant", metavar="TENANT", help="Only this tenant's.")
@click.option("-v", "--verbose", is_flag=True, help="Indexes, memory and ends too.")
@format_option("text", "json", "pretty")
def collections(options: Options, tenant: str | None, verbose: bool) -> None:
    """Show the collections, what is in them, and the model that each is embedded with."""
    output = Output(options)
    with session(options, output) as opened:
        reply = ask_rag(opened, "collections", tenant=tenant)
    if output.json:
        output.document(reply)
        return
    found = reply["collections"]
    if not found:
        output.line("No collections found")
        output.hint("llmspell rag ingest PATH makes one")
    else:
        has_tenants = any(one["tenant"] for one in found)
        headers = ("COLLECTION", *(("TENANT",) * has_tenants), "DOCUMENTS", "PASSAGES", "SIZE", "MODEL", "CHANGED")
        more = ("DIMENSION", "INDEX", "FILE", "MEMORY", "EXPIRES") if verbose else ()
        output.table((*headers, *more), [_row(one, has_tenants=has_tenants, verbose=verbose) for one in found])
    if reply["path"] is None:
        output.warning("documents are kept in memory, which ends with the kernel: rag.vector_storage.persistence_path")
    elif verbose:
        output.prose(f"Kept in {home_path(reply['path'])}")


def _row(one: Content, *, has_tenants: bool, verbose: bool) -> tuple[str, ...]:
    row = (
        one["collection"],
        *((one["tenant"] or "-",) * has_tenants),
        str(one["documents"]),
        str(one["chunks"]),
        size(one["bytes"]),
        one["model"],
        date(one["changed_at"]),
    )
    if not verbose:
        return row
    figures = (str(one["dimension"]), one["index"], size(one["index_bytes"]), size(one["memory_bytes"]))
    return (*row, *figures, date(one["expires_at"]))
