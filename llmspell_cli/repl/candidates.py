"""How a repl's input could go on at the cursor: commands, files, models, and the names that the kernel knows."""

from __future__ import annotations

from collections.abc import Sequence

from llmspell_cli.repl.dot_commands import FILE_COMMANDS, is_command
from llmspell_cli.repl.script_context import ScriptContext
from llmspell_cli.terminal.candidates import Candidates, beginning_with, paths


def candidates(context: ScriptContext, commands: Sequence[str], text: str, cursor: int) -> Candidates:
    """What Tab offers for an input with the cursor at this character."""
    before = text[:cursor]
    if before != "." and not is_command(before):
        return Candidates(*context.complete(text, cursor))
    word, space, rest = before.partition(" ")
    if not space:
        return Candidates(beginning_with(commands, word), 0)
    start = cursor - len(rest.rpartition(" ")[2])
    last = before[start:]
    if word in FILE_COMMANDS:
        return Candidates(paths(last, directories_only=word == ".cd"), start)
    if word == ".use":
        return Candidates(beginning_with((str(model["id"]) for model in context.models()), last), start)
    return Candidates((), cursor)
