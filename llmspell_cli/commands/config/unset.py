"""`llmspell config unset KEY`: back to the default."""

from __future__ import annotations

import click

from llmspell_cli.config_change import change, tell
from llmspell_cli.invocation import Options
from llmspell_cli.options import Command
from llmspell_cli.terminal.output import Output


@click.command(
    "unset",
    cls=Command,
    local_only=True,
    examples=(
        ("llmspell config unset models.keep_alive", "the default again"),
        ("llmspell config unset providers.box", "a whole table"),
    ),
)
@click.argument("key", metavar="KEY")
def unset(options: Options, key: str) -> None:
    """Take one key, or a table, out of your configuration file, or out of the file that -c names."""
    # The schema with everything around it takes 100 ms to load.
    from llmspell_profiles.writing import unset_key

    tell(Output(options), [change(options, unset_key, key)])
