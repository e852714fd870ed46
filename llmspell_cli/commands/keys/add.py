"""`llmspell keys add`: takes a key from a hidden prompt, standard input or, with a warning, the command line."""

from __future__ import annotations

import os
import re
import sys
from typing import Literal

import click

from llmspell_cli.endings import NoAnswer
from llmspell_cli.invocation import Options
from llmspell_cli.key_sources import KNOWN, key_store, load
from llmspell_cli.options import Command
from llmspell_cli.terminal.interrupts import Interrupts
from llmspell_cli.terminal.output import Output
from llmspell_cli.terminal.text import home_path
from llmspell_cli.terminal.typed_line import typed_line
from llmspell_profiles.credentials.key_store import KeyStore, StoreName, canonical
from llmspell_protocol.errors import InvalidRequest, LlmspellError

_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]*\Z"
_STDIN = "pipe the key in: llmspell keys add PROVIDER --stdin"


@click.command(
    "add",
    cls=Command,
    local_only=True,
    examples=(
        ("llmspell keys add openai", "asks for the key"),
        ("pass show openai | llmspell keys add openai --stdin", "from a pipe"),
        ("llmspell keys add groq --store file", "not in the keyring"),
    ),
)
@click.option("--store", type=click.Choice(["keyring", "file"]), metavar="STORE", help="keyring or file.")
@click.option("--stdin", "from_stdin", is_flag=True, help="Read the key from standard input.")
@click.argument("provider", metavar="PROVIDER")
@click.argument("key", metavar="[KEY]", required=False)
def add(
    options: Options, provider: str, key: str | None, store: Literal["keyring", "file"] | None, from_stdin: bool
) -> None:
    """Store an API key in the system keyring, or in a file of mode 0600 where there is none.

    Without KEY it is asked for, hidden. A stored key counts where neither a variable nor the configuration has one.
    """
    output = Output(options)
    if not re.match(_NAME, provider):
        raise InvalidRequest(f"'{provider}' is not a provider's name: letters, digits, '.', '_' and '-' are possible")
    if key is not None and from_stdin:
        raise InvalidRequest("a key on the command line and --stdin can't both be meant")
    kept = key_store(os.environ)
    chosen = kept.choose(store)
    _warn(output, options, provider, kept, chosen, wanted=store, on_command_line=key is not None)
    kept.add(provider, _checked(_key(output, provider, key, from_stdin=from_stdin)), chosen)
    if output.json:
        output.document({"status": "stored", "provider": provider, "store": chosen})
    else:
        place = "system keyring" if chosen == "keyring" else f"file {home_path(str(kept.file.path))}"
        output.line(f"✓ Stored API key for {provider} ({place})")


def _warn(
    output: Output,
    options: Options,
    provider: str,
    kept: KeyStore,
    chosen: StoreName,
    *,
    wanted: StoreName | None,
    on_command_line: bool,
) -> None:
    if on_command_line:
        output.warning("a key on the command line stays in the shell's history; leave it out to be asked for it")
    if chosen == "file" and wanted is None and not kept.file.path.exists():
        path = home_path(str(kept.file.path))
        output.warning(f"there is no system keyring: keys are kept in {path}, which only you can read")
    if canonical(provider) in KNOWN:
        return
    try:
        settings = load(options).settings
    except LlmspellError as error:
        output.warning(f"'{provider}' is not a provider that llmspell knows, and the configuration: {error.message}")
        return
    configured = (*settings.providers.tables, *settings.mcp.servers.secrets)
    if canonical(provider) not in map(canonical, configured):
        output.warning(f"'{provider}' is not a provider that llmspell knows, and none in the configuration")


def _key(output: Output, provider: str, key: str | None, *, from_stdin: bool) -> str:
    if key is not None:
        return key
    if from_stdin:
        return sys.stdin.read()
    if output.json:
        raise InvalidRequest("this command asks for the key, which JSON mode can't", hint=_STDIN)
    prompt = f"API key for {provider}: "
    if sys.stdin.isatty():
        try:
            with Interrupts() as interrupts:
                return typed_line(interrupts, prompt, hidden=True)
        except EOFError:
            raise NoAnswer("Cancelled", hint=_STDIN) from None
    output.write(prompt)
    answer = sys.stdin.readline()
    output.line()
    if not answer:
        raise NoAnswer("Cancelled", hint=_STDIN)
    return answer


def _checked(key: str) -> str:
    """The key without the spaces and line ends around it, which come along when keys are copied."""
    key = key.strip()
    if not key:
        raise InvalidRequest("the key is empty", hint=_STDIN)
    if not key.isprintable() or " " in key:
        raise InvalidRequest("the key has a space, a line end or a control character inside")
    if not key.isascii():
        raise InvalidRequest("the key has characters beyond ASCII inside, which no provider's key has")
    return key
