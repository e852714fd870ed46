"""`llmspell tool …`: tools that act in the world; a module a command."""

from __future__ import annotations

from llmspell_cli.groups import LazyGroup

_HERE = "llmspell_cli.commands.tool"

tool = LazyGroup(
    "tool",
    {
        "list": (f"{_HERE}.list:list_tools", "Show tools, or what they may touch."),
        "info": (f"{_HERE}.info:info", "Show what a tool does and takes."),
        "invoke": (f"{_HERE}.invoke:invoke", "Call a tool."),
        "search": (f"{_HERE}.search:search", "Find tools by words."),
        "test": (f"{_HERE}.test:test", "Try a tool with its own example."),
    },
    aliases={"ls": "list", "show": "info", "run": "invoke", "call": "invoke"},
    help="List, inspect and call tools.",
    examples=(
        ("llmspell tool list", "which there are"),
        ("llmspell tool info calculator", "what one does and takes"),
        ("llmspell tool invoke calculator --params @sum.json", "call it"),
        ("llmspell tool list --permissions", "what they may touch"),
    ),
)
