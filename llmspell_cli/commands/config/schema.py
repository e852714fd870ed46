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
@format_option("json", "toml", "markdown")
def schema(options: Options, section: str) -> None:
    """Print the schema of the configuration, or of a SECTION, as JSON Schema, TOML with comments, or Markdown."""
    output = Output(options)
    if options.output == "toml":
        from llmspell_profiles.showing.template import full

        output.write(full(section))
    elif options.output == "markdown":
        from llmspell_profiles.showing.markdown import tables

        output.lines(tables(section))
    else:
        from llmspell_profiles.showing.json_schema import json_schema

        output.document(json_schema(section))
