"""`llmspell config trust [FILE]`: a person's word for what a project's file may do."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from llmspell_cli.config_change import shown
from llmspell_cli.invocation import Options, working_directory
from llmspell_cli.options import Command
from llmspell_cli.terminal.output import Output
from llmspell_cli.terminal.prompt import confirmed
from llmspell_cli.terminal.text import home_path
from llmspell_cli.terminal.visible import visible
from llmspell_protocol.errors import NotFound

if TYPE_CHECKING:
    from llmspell_profiles.loading.trust import Guarded


@click.command(
    "trust",
    cls=Command,
    local_only=True,
    examples=(
        ("llmspell config trust", "the file of this directory"),
        ("llmspell config trust ../llmspell.toml", "another one"),
        ("llmspell config trust --revoke", "not any more"),
    ),
)
@click.argument("file", metavar="[FILE]", required=False)
@click.option("--revoke", is_flag=True, help="Take it back.")
@click.option("-y", "--yes", is_flag=True, help="Don't ask.")
def trust(options: Options, file: str | None, revoke: bool, yes: bool) -> None:
    """Let a project's file start programs, grant permissions and name servers.

    A file that comes with a directory can't do that by itself. What is trusted are those settings with their values:
    where one changes, you are asked again.
    """
    output = Output(options)
    # The schema with everything around it takes 100 ms to load.
    from llmspell_profiles.credentials.secrets import HIDDEN
    from llmspell_profiles.loading.home import llmspell_home
    from llmspell_profiles.loading.trust import TrustedFiles

    guarded = _guarded(options, file)
    name = home_path(str(guarded.file)) if os.path.isabs(guarded.name) else f"./{guarded.name}"
    trusted = TrustedFiles(llmspell_home(os.environ))
    if revoke:
        was = trusted.remove(guarded.file)
        _tell(output, guarded, f"✓ {name} is not trusted any more" if was else f"{name} was not trusted", trusted=False)
        return
    if not guarded.values:
        _tell(output, guarded, f"{name} sets nothing that needs trust", trusted=True)
        return
    if not output.json:
        output.line(f"{name} sets what can act for others:")
        for key, value in guarded.values.items():
            output.line(f"  {key} = {HIDDEN if _is_hidden(key) else shown(key, value)}")
    if not trusted.knows(guarded):
        if not confirmed(output, "Trust it?", yes=yes):
            return
        trusted.add(guarded)
    _tell(output, guarded, f"✓ {name} is trusted, until one of these changes", trusted=True)


def _guarded(options: Options, file: str | None) -> Guarded:
    from llmspell_profiles.loading.loader import load_settings

    config = file if file is not None else options.config
    loaded = load_settings(
        config=Path(config) if config is not None else None, env=os.environ, cwd=Path(working_directory())
    )
    if loaded.guarded is None:
        raise NotFound("there is no configuration file here", hint="name one: llmspell config trust FILE")
    return loaded.guarded


def _tell(output: Output, guarded: Guarded, sentence: str, *, trusted: bool) -> None:
    if not output.json:
        output.line(sentence)
    else:
        from llmspell_profiles.credentials.secrets import HIDDEN

        values = {key: HIDDEN if _is_hidden(key) else value for key, value in guarded.values.items()}
        output.document({"file": visible(os.path.abspath(guarded.file)), "trusted": trusted, "values": values})


def _is_hidden(key: str) -> bool:
    """Whether the value may be a secret: the names of variables and headers are the user's own."""
    from llmspell_profiles.credentials.secrets import is_secret

    return is_secret(key.rpartition(".")[2], known=False)
