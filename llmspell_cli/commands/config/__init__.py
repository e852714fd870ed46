"""`llmspell config …`: files, checks and what is in force; a module a command."""

from __future__ import annotations

from llmspell_cli.groups import LazyGroup

_HERE = "llmspell_cli.commands.config"

config = LazyGroup(
    "config",
    {
        "init": (f"{_HERE}.init:init", "Write a configuration file to start from."),
        "validate": (f"{_HERE}.validate:validate", "Check a configuration and the variables."),
        "show": (f"{_HERE}.show:show", "Show the configuration in force."),
        "set": (f"{_HERE}.set:set_value", "Set one key of a file."),
        "unset": (f"{_HERE}.unset:unset", "Take one key out of a file."),
        "trust": (f"{_HERE}.trust:trust", "Let a project's file act."),
        "import-mcp": (f"{_HERE}.import_mcp:import_mcp", "Take over MCP servers of another client."),
        "reload": (f"{_HERE}.reload:reload", "Let running kernels read it again."),
        "list-profiles": (f"{_HERE}.list_profiles:list_profiles", "Show the builtin profiles."),
        "schema": (f"{_HERE}.schema:schema", "Print the schema of the configuration."),
    },
    help="Write, check and show the configuration.",
    examples=(
        ("llmspell -p candle config init", "a file to start from"),
        ("llmspell config set models.keep_alive 1h", "one key"),
        ("llmspell config validate", "every problem at once"),
        ("llmspell config show kernel --sources", "what holds, and why"),
    ),
)
