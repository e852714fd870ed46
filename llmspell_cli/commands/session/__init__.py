"""`llmspell session …`: what was asked and answered, as sessions keep it; a module a command."""

from __future__ import annotations

from llmspell_cli.groups import LazyGroup

_HERE = "llmspell_cli.commands.session"

session = LazyGroup(
    "session",
    {
        "list": (f"{_HERE}.list:list_sessions", "Show sessions."),
        "show": (f"{_HERE}.show:show", "Show what was said, asked and answered in one."),
        "search": (f"{_HERE}.search:search", "Find words in all sessions."),
        "export": (f"{_HERE}.export:export", "Write one as Markdown or JSON."),
        "replay": (f"{_HERE}.replay:replay", "Run one again and compare."),
        "delete": (f"{_HERE}.delete:delete", "Delete one, or all."),
    },
    aliases={"ls": "list", "info": "show", "rm": "delete", "remove": "delete"},
    help="List, read, search, replay and delete recorded sessions.",
    examples=(
        ("llmspell session list", "which there are"),
        ("llmspell session show notes", "a conversation, to be read"),
        ("llmspell session export notes notes.md", "as a file"),
        ("llmspell session replay hello.lua", "does it still do the same?"),
    ),
)
