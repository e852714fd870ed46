"""How an input could go on at the cursor: commands, files, models, and the names that the kernel knows. No terminal."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import NamedTuple

from llmspell_cli.repl.dot_commands import FILE_COMMANDS, is_command
from llmspell_cli.repl.script_context import ScriptContext


class Candidates(NamedTuple):
    """Texts that could stand where the input's text from `start` to the cursor stands now."""

    texts: Sequence[str]
    start: int


def candidates(context: ScriptContext, commands: Sequence[str], text: str, cursor: int) -> Candidates:
    """What Tab offers for an input with the cursor at this character."""
    before = text[:cursor]
    if before != "." and not is_command(before):
        return Candidates(*context.complete(text, cursor))
    word, space, rest = before.partition(" ")
    if not space:
        return Candidates(sorted(name for name in commands if name.startswith(word)), 0)
    start = cursor - len(rest.rpartition(" ")[2])
    last = before[start:]
    if word in FILE_COMMANDS:
        return Candidates(_paths(last, directories_only=word == ".cd"), start)
    if word == ".use":
        names = (str(model["id"]) for model in context.models())
        return Candidates(sorted(name for name in names if name.startswith(last)), start)
    return Candidates((), cursor)


def _paths(typed: str, *, directories_only: bool) -> list[str]:
    directory, name = os.path.split(typed)
    try:
        entries = list(os.scandir(os.path.expanduser(directory) or "."))
    except OSError:
        return []  # No such directory: nothing to offer.
    prefix = typed[: len(typed) - len(name)]
    return sorted(
        prefix + entry.name + "/" * entry.is_dir()
        for entry in entries
        if entry.name.startswith(name)
        and (name or not entry.name.startswith("."))
        and (entry.is_dir() or not directories_only)
    )
