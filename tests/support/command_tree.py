"""Every command of the command line, found by walking from its root: what is demanded of all holds for new ones too."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

import click

from llmspell_cli.invocation import Collected
from llmspell_cli.root import root

Path = tuple[str, ...]


def every_command() -> list[Path]:
    """The words of every group and command, the root (no words) first."""
    return [path for path, _ in _below(root, ())]


def leaf_commands() -> list[Path]:
    """The words of every command that does something itself."""
    return [path for path, command in _below(root, ()) if not isinstance(command, click.Group)]


def _below(command: click.Command, path: Path) -> Iterator[tuple[Path, click.Command | None]]:
    """Paths and commands; None for one that can't be imported, which fails its own tests and no others."""
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            try:
                found = command.get_command(context, name)
            except ImportError:
                yield (*path, name), None
                continue
            assert found is not None, f"{' '.join((*path, name))} is listed and can't be loaded"
            if not found.hidden:
                yield from _below(found, (*path, name))


def command_at(path: Path) -> click.Command:
    """The command that these words name."""
    command: click.Command = root
    for name in path:
        assert isinstance(command, click.Group)
        found = command.get_command(click.Context(command), name)
        assert found is not None, f"no command {' '.join(path)}"
        command = found
    return command


def parsed(words: list[str]) -> Path:
    """Parses a command line as the real one does, up to the moment of calling the command; returns its path.

    Raises:
        click.ClickException, LlmspellError: whatever the user would see.
    """
    said = Collected(words, {})
    context = root.make_context("llmspell", list(words), obj=said)
    path: Path = ()
    while isinstance(context.command, click.Group):
        # Where Click keeps the words that its group hands to the next level.
        rest = [*context._protected_args, *context.args]
        name, command, rest = context.command.resolve_command(context, rest)
        assert name is not None
        assert command is not None
        path = (*path, name)
        context = command.make_context(name, rest, parent=context)
    said.options()
    return path


def words_of_example(line: str) -> list[str]:
    """Our words in a shell's command line: what stands behind `llmspell` up to a pipe or a redirection.

    Raises:
        ValueError: there is no `llmspell` at the beginning of any of its commands.
    """
    found = every_call(line)
    if not found:
        raise ValueError(f"no llmspell in {line!r}")
    return found[0]


def every_call(line: str) -> list[list[str]]:
    """The words behind each `llmspell` that begins a command of a shell's command line, variables before it or not."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    lexer.commenters = "#"
    pieces: list[list[str]] = [[]]
    for token in lexer:
        if set(token) <= set("|&;()<>"):
            pieces.append([])
        else:
            pieces[-1].append(token)
    found = []
    for piece in pieces:
        while piece and re.match(r"[A-Z_]+=", piece[0]):
            piece = piece[1:]
        if piece[:1] == ["llmspell"]:
            found.append(piece[1:])
    return found
