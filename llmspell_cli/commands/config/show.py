"""`llmspell config show`: the settings of the kernel that would answer, this command's own or a running one's."""

from __future__ import annotations

import sys
from typing import Any

import click

from llmspell_cli.connect import session
from llmspell_cli.invocation import Options
from llmspell_cli.options import Command, format_option
from llmspell_cli.session import document
from llmspell_cli.terminal.output import Output, document_text
from llmspell_cli.terminal.visible import visible
from llmspell_protocol.errors import InvalidRequest


@click.command(
    "show",
    cls=Command,
    examples=(
        ("llmspell -p minimal config show", "everything that holds"),
        ("llmspell config show rag.vector_storage", "one section"),
        ("llmspell config show kernel --sources", "where it comes from"),
        ("llmspell --connect auto config show --json", "a running kernel's"),
    ),
)
@click.argument("section", required=False)
@click.option("--section", "named", metavar="SECTION", help="Same as the argument.")
@click.option("--sources", is_flag=True, help="Where each value comes from.")
@format_option("toml", "json")
def show(options: Options, section: str | None, named: str | None, sources: bool) -> None:
    """Show the configuration in force, or a SECTION of it such as rag.vector_storage; secrets are hidden."""
    if section is not None and named not in (None, section):
        raise InvalidRequest(f"two sections are named: {section} and {named}")
    output = Output(options)
    with session(options, output, own=True) as opened:
        output.origin = {}  # The document's keys are those of the settings, `kernel` among them.
        told = document(opened.ask("kernel_request", {"action": "config", "section": section or named}))
    if output.json:
        _json(output, {"config": told["config"], "sources": told["sources"]} if sources else told["config"])
        return
    # Only needed here: a connected command loads little.
    from llmspell_profiles.showing.toml_text import toml_text

    path = told["path"]
    heading = f"Section {'.'.join(path)}" if path else "Full configuration"
    whose = visible(f"{heading} ({told['origin']})")
    output.as_it_is(toml_text(told["config"], path, whose, told["sources"] if sources else {}))


def _json(output: Output, value: Any) -> None:
    if isinstance(value, dict):
        output.document(value)
    else:
        output.shown_line(document_text(value, sys.stdout))
