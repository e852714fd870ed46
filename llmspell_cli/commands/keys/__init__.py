"""`llmspell keys …`: API keys of this user, kept in the system keyring or in a file; a module a command."""

from __future__ import annotations

from llmspell_cli.groups import LazyGroup

_HERE = "llmspell_cli.commands.keys"

keys = LazyGroup(
    "keys",
    {
        "add": (f"{_HERE}.add:add", "Store an API key."),
        "list": (f"{_HERE}.list:list_keys", "Show where API keys come from."),
        "remove": (f"{_HERE}.remove:remove", "Forget a stored API key."),
    },
    aliases={"set": "add", "ls": "list", "rm": "remove"},
    help="Keep API keys of providers.",
    examples=(
        ("llmspell keys add openai", "asks for the key"),
        ("llmspell keys list", "where keys come from"),
        ("llmspell keys remove openai", "forgets it"),
    ),
)
