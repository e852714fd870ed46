"""`llmspell state …`: values that scripts keep; a module a command."""

from __future__ import annotations

from llmspell_cli.groups import LazyGroup

_HERE = "llmspell_cli.commands.state"

state = LazyGroup(
    "state",
    {
        "show": (f"{_HERE}.show:show", "Show what is kept."),
        "clear": (f"{_HERE}.clear:clear", "Remove what is kept."),
        "export": (f"{_HERE}.export:export", "Write what is kept into a file."),
        "import": (f"{_HERE}.import_file:import_file", "Keep what a file holds."),
    },
    aliases={"list": "show", "ls": "show", "get": "show", "rm": "clear", "delete": "clear"},
    help="Show and change what scripts keep (the global State).",
    examples=(
        ("llmspell state show", "keys and values"),
        ("llmspell state show theme", "one of them"),
        ("llmspell state export state.json", "into a file"),
        ("llmspell state import state.json --merge", "and back"),
    ),
)
