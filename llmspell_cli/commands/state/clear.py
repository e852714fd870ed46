"""`llmspell state clear`."""

from __future__ import annotations

import click

from llmspell_cli.commands.state.requests import ask_state, key_option, one_key, scope_option, selected
from llmspell_cli.connect import session
from llmspell_cli.invocation import Options
from llmspell_cli.options import Command
from llmspell_cli.terminal.output import Output
from llmspell_cli.terminal.prompt import confirmed
from llmspell_protocol.errors import NotFound


@click.command(
    "clear",
    cls=Command,
    examples=(
        ("llmspell state clear theme", "one key"),
        ("llmspell state clear", "all of global; asks first"),
        ("llmspell state clear --scope all --yes", "everything, without a question"),
    ),
)
@scope_option
@key_option
@click.option("-y", "--yes", is_flag=True, help="Don't ask.")
@click.argument("key", metavar="[KEY]", required=False)
def clear(options: Options, scope: str, key_named: str | None, yes: bool, key: str | None) -> None:
    """Remove a key, or all keys of a scope."""
    output = Output(options)
    wanted = selected(scope)
    key = one_key(key, key_named, wanted)
    with session(options, output) as opened:
        if key is not None:
            if not ask_state(opened, "delete", scope=wanted.scope, key=key)["deleted"]:
                raise NotFound(
                    f"Key '{key}' not found",
                    hint="llmspell state show lists the keys",
                    details={"key": key, "scope": scope},
                )
            count = 1
        else:
            where = "all scopes" if scope == "all" else f"scope '{scope}'"
            if not confirmed(output, f"Clear all state keys in {where}?", yes=yes):
                return
            count = ask_state(opened, "clear", **wanted.fields)["count"]
    if output.json:
        output.document({"status": "success", "cleared": count, "scope": scope})
    elif key is not None:
        output.line(f"✓ Cleared state key: {key}")
    elif count:
        output.line("✓ Cleared all state keys")
    else:
        output.line("No state keys found" if scope in ("global", "all") else f"No state keys found in scope '{scope}'")
