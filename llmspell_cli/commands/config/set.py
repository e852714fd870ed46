"""`llmspell config set KEY VALUE …`: keys of the user's configuration file."""

from __future__ import annotations

import click

from llmspell_cli.config_change import change, tell
from llmspell_cli.invocation import Options
from llmspell_cli.options import Command
from llmspell_cli.terminal.output import Output
from llmspell_protocol.errors import InvalidRequest


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
        ("llmspell config set kernel.port 0 models.keep_alive 1h", "several: all or none"),
    ),
)
@click.argument("pairs", metavar="KEY VALUE [KEY VALUE]...", nargs=-1, required=True)
def set_value(options: Options, pairs: tuple[str, ...]) -> None:
    """Set keys of your configuration file, or of the file that -c names.

    Comments stay. The whole file is checked before anything is written. A VALUE is TOML (true, 9600, '["a", "b"]'); a
    text needs no quotes.
    """
    keys, values = pairs[::2], pairs[1::2]
    if len(keys) > len(values):
        raise InvalidRequest(f"{keys[-1]} has no value", hint=f"llmspell config set {keys[-1]} VALUE")
    twice = next((key for key in keys if keys.count(key) > 1), None)
    if twice is not None:
        raise InvalidRequest(f"{twice} is set twice")
    # The schema with everything around it takes 100 ms to load.
    from llmspell_profiles.writing import set_keys

    tell(Output(options), change(options, set_keys, dict(zip(keys, values, strict=True))))
