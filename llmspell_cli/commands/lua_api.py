"""`llmspell jupyter lua-api`: what scripts can call, for editors."""

from __future__ import annotations

import click

from llmspell_cli.connect import session
from llmspell_cli.invocation import Options
from llmspell_cli.options import Command
from llmspell_cli.session import document
from llmspell_cli.terminal.output import Output


@click.command(
    "lua-api",
    cls=Command,
    examples=(
        ("llmspell jupyter lua-api > llmspell.d.lua", "beside your scripts"),
        ("llmspell jupyter lua-api --json", "for programs"),
    ),
)
def lua_api(options: Options) -> None:
    """Print what scripts can call as definitions for lua-language-server.

    Editors that use it complete and check scripts by the file where it lies in the folder that they have opened.
    """
    output = Output(options)
    with session(options, output) as opened:
        reply = document(opened.ask("kernel_request", {"action": "lua_api"}))
    if output.json:
        output.document(reply)
    else:
        output.as_it_is(reply["definitions"])
