"""`llmspell config set KEY VALUE`: one key of the user's configuration file."""

from __future__ import annotations

import click

from llmspell_cli.config_change import change, tell
from llmspell_cli.invocation import Options
from llmspell_cli.options import Command
from llmspell_cli.terminal.output import Output


@click.command(
    "set",
    cls=Command,
    local_only=True,
    # A value may begin with a dash: -1.
    context_settings={
        "help_option_names": ["-h", "--help"],
        "max_content_width": 100,
        "ignore_unknown_options": True,
    },
    examples=(
        ("llmspell config set models.keep_alive 1h", "an hour in memory"),
        ("llmspell config set providers.ollama.enabled false", "no Ollama here"),
        ("llmspell -c llmspell.toml config set kernel.port 0", "a project's file"),
    ),
)
@click.argument("key", metavar="KEY")
@click.argument("value", metavar="VALUE")
def set_value(options: Options, key: str, value: str) -> None:
    """Set one key of your configuration file, or of the file that -c names.

    Comments stay. The whole file is checked before anything is written. A VALUE is TOML (true, 9600, '["a", "b"]'); a
    text needs no quotes.
    """
    # The schema with everything around it takes 100 ms to load.
    from llmspell_profiles.writing import set_key

    tell(Output(options), change(options, set_key, key, value))
