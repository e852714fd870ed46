"""`llmspell keys list`: where keys come from. No part of a key is ever shown."""

from __future__ import annotations

import os
from collections import Counter

import click

from llmspell_cli.invocation import Options
from llmspell_cli.key_sources import KeySource, key_sources, key_store, load
from llmspell_cli.options import Command
from llmspell_cli.terminal.output import Output
from llmspell_protocol.errors import LlmspellError


@click.command(
    "list",
    cls=Command,
    local_only=True,
    examples=(
        ("llmspell keys list", "providers and sources"),
        ("llmspell keys list --json", "for programs"),
    ),
)
def list_keys(options: Options) -> None:
    """Show where API keys come from: variables, the configuration, the keyring, the file."""
    output = Output(options)
    try:
        loaded = load(options)
    except LlmspellError as error:
        output.warning(f"keys in the configuration are not listed, since it can't be used: {error.message}")
        loaded = None
    found = key_sources(loaded, os.environ, key_store(os.environ))
    if output.json:
        rows = [
            {"provider": one.provider, "source": one.source, "variable": one.variable, "active": one.active}
            for one in found
        ]
        output.document({"keys": rows, "count": len(rows)})
    elif found:
        places = Counter(one.provider for one in found)
        output.table(("PROVIDER", "SOURCE"), [(one.provider, _place(one, places[one.provider])) for one in found])
    else:
        output.line("No API keys found")
        output.hint("llmspell keys add PROVIDER")


def _place(one: KeySource, places: int) -> str:
    if places == 1:
        return one.label
    return f"{one.label}, {'in use' if one.active else 'not in use'}"
