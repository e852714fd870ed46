"""`llmspell keys remove`."""

from __future__ import annotations

import os

import click

from llmspell_cli.invocation import Options
from llmspell_cli.key_sources import KeySource, key_sources, key_store, load
from llmspell_cli.options import Command
from llmspell_cli.terminal.output import Output
from llmspell_cli.terminal.text import home_path
from llmspell_profiles.credentials.key_store import KeyStore, canonical
from llmspell_protocol.errors import LlmspellError, NotFound


@click.command("remove", cls=Command, local_only=True, examples=(("llmspell keys remove openai", "keyring and file"),))
@click.argument("provider", metavar="PROVIDER")
def remove(options: Options, provider: str) -> None:
    """Forget a stored API key. Variables and the configuration are not touched."""
    output = Output(options)
    store = key_store(os.environ)
    stores = store.remove(provider)
    if not stores:
        others = _others(options, store, provider)
        raise NotFound(
            f"no API key is stored for {provider}",
            hint=_hint(others[0]) if others else "llmspell keys list",
            details={"provider": provider, "sources": [other.label for other in others]},
        )
    if output.json:
        output.document({"status": "removed", "provider": provider, "store": stores[0]})
    else:
        output.line(f"✓ Removed API key for {provider}")


def _others(options: Options, store: KeyStore, provider: str) -> list[KeySource]:
    """Where else the provider has a key from."""
    try:
        loaded = load(options)
    except LlmspellError:
        loaded = None  # The hint then names variables only; what is wrong with the file is another command's to say.
    return [one for one in key_sources(loaded, os.environ, store) if canonical(one.provider) == canonical(provider)]


def _hint(source: KeySource) -> str:
    if source.variable is not None:
        return f"the key in use comes from the environment: unset {source.variable}"
    return f"the key in use stands in {home_path(source.path)}"
