"""`llmspell jupyter …`: the kernelspec, by which Jupyter knows how to start the kernel; a module a command."""

from __future__ import annotations

from llmspell_cli.groups import LazyGroup

_HERE = "llmspell_cli.commands.jupyter"

jupyter = LazyGroup(
    "jupyter",
    {
        "install": (f"{_HERE}.install:install", "Install the kernelspec."),
        "list": (f"{_HERE}.list:list_kernelspecs", "Show installed kernelspecs."),
        "remove": (f"{_HERE}.remove:remove", "Remove the kernelspec."),
        "lua-api": ("llmspell_cli.commands.lua_api:lua_api", "Print definitions for editors."),
    },
    aliases={"ls": "list", "rm": "remove"},
    help="Make the kernel known to Jupyter.",
    examples=(
        ("llmspell jupyter install", "then: jupyter lab"),
        ("llmspell jupyter list", "what is installed"),
        ("llmspell jupyter lua-api > llmspell.d.lua", "for an editor"),
    ),
)
