"""`llmspell config init`: a configuration file that changes nothing until it is edited."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from llmspell_cli.invocation import Options
from llmspell_cli.options import Command
from llmspell_cli.terminal.output import Output
from llmspell_cli.terminal.prompt import confirmed
from llmspell_cli.terminal.text import home_path
from llmspell_protocol.errors import InvalidRequest, LlmspellError, ProfileNotFound


@click.command(
    "init",
    cls=Command,
    local_only=True,
    examples=(
        ("llmspell config init", "./llmspell.toml"),
        ("llmspell -p candle config init", "over a builtin profile"),
        ("llmspell config init -o config/llmspell.toml", "somewhere else"),
    ),
)
@click.option("-o", "--output", "path", default="llmspell.toml", metavar="PATH", help="The file (llmspell.toml).")
@click.option("-f", "--force", is_flag=True, help="Overwrite an existing file.")
def init(options: Options, path: str, force: bool) -> None:
    """Write a configuration file with the common keys; with -p it extends that profile."""
    output = Output(options)
    target = Path(path)
    if target.is_dir():
        raise InvalidRequest(f"can't write {path or target}: is a directory")
    if os.path.lexists(target) and not force and not _may_overwrite(output, path):
        return
    # Descriptions and defaults are the schema's, which takes 100 ms to load.
    from llmspell_profiles.loading.profiles import canonical_name, hint_for, not_found
    from llmspell_profiles.showing.template import starter

    profile = canonical_name(options.profile) if options.profile else None
    if options.profile and profile is None:
        raise ProfileNotFound(not_found(options.profile), hint=hint_for(options.profile))
    text = starter(profile)
    _write(target, text)
    _tell_what_it_hides(output, target, text)
    if output.json:
        output.document({"status": "created", "path": path})
        return
    output.line(f"✓ Created configuration file: {path}")
    output.lines("\nNext steps:")
    output.line(f"  1. Edit {path}")
    file = "" if path == "llmspell.toml" else f" --file {path}"
    output.line(f"  2. Check it: llmspell config validate{file}")
    use = "" if path == "llmspell.toml" else f"-c {path} "
    output.line(f"  3. Use it: llmspell {use}run script.lua")


def _tell_what_it_hides(output: Output, target: Path, text: str) -> None:
    """Warns where commands here read this file and not the user's own: files are not laid over each other."""
    from llmspell_profiles.loading.home import LOCAL_PLACES, general_configuration_places, home_text
    from llmspell_profiles.loading.provenance import sets_nothing

    here = os.path.realpath(target)
    general = general_configuration_places(os.environ, home_text(os.environ))
    own = next((place for place in general if os.path.isfile(place)), None)
    if own is None or os.path.realpath(own) == here or here not in map(os.path.realpath, LOCAL_PLACES):
        return
    when = "as soon as it sets something, " if sets_nothing(text) else ""
    output.warning(
        f"{when}{home_path(here)} counts in this directory in place of {home_path(own)}: what it should keep from "
        "there has to stand in it too"
    )


def _may_overwrite(output: Output, path: str) -> bool:
    """Asks at the terminal whether to overwrite the file.

    Raises:
        LlmspellError: there is no terminal to ask at.
    """
    if output.json or not (sys.stdin.isatty() and sys.stdout.isatty()):
        text = f"Configuration file already exists: {path}. Use --force to overwrite."
        raise LlmspellError(text, hint="llmspell config init --force, or llmspell config set KEY VALUE for one key")
    return confirmed(output, f"Configuration file already exists: {path}. Overwrite?", yes=False, hint="use --force")


def _write(target: Path, text: str) -> None:
    """Writes the file whole or not at all; only its owner can read it, since keys may be put into it."""
    if target.is_symlink():
        target = target.resolve()  # The link stays; what it leads to is written.
    partial = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(target.parent, error) from None
    try:
        fd = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    except OSError as error:
        raise _unwritable(target, error) from None
    try:
        with os.fdopen(fd, "w", encoding="utf-8") as file:
            file.write(text)
        partial.replace(target)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise _unwritable(target, error) from None


def _unwritable(path: Path, error: OSError) -> InvalidRequest:
    return InvalidRequest(f"can't write {path}: {(error.strerror or str(error)).lower()}")
