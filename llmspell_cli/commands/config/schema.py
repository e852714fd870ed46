"""`llmspell config schema`."""

from __future__ import annotations

import click

from llmspell_cli.invocation import Options
from llmspell_cli.options import Command, format_option
from llmspell_cli.terminal.output import Output


@click.command(
    "schema",
    cls=Command,
    local_only=True,
    examples=(
        ("llmspell config schema > llmspell.schema.json", "for an editor"),
        ("llmspell config schema kernel --format markdown", "tables of one section"),
        ("llmspell config schema --format toml", "every key, commented"),
    ),
)
@click.argument("section", required=False, default="")
@click.option("--all", "everything", is_flag=True, help="Keys that have no effect yet too.")
@format_option("json", "toml", "markdown")
def schema(options: Options, section: str, everything: bool) -> None:
    """Print the schema of the configuration, or of a SECTION.

    As JSON Schema, which has every key that is accepted, as TOML with comments, or as Markdown.
    """
    output = Output(options)
    if options.output == "toml":
        from llmspell_profiles.showing.template import full

        output.write(full(section, idle=everything))
    elif options.output == "markdown":
        from llmspell_profiles.showing.markdown import tables

        output.lines(tables(section, idle=everything))
    else:
        from llmspell_profiles.showing.json_schema import json_schema

        output.document(json_schema(section))
