"""`llmspell tool test`."""

from __future__ import annotations

from typing import Any

import click

from llmspell_cli.commands.tool.requests import ask_tools, source_option
from llmspell_cli.connect import session
from llmspell_cli.invocation import Options
from llmspell_cli.options import Command, format_option, timeout_option
from llmspell_cli.terminal.output import Output


@click.command(
    "test",
    cls=Command,
    examples=(
        ("llmspell tool test calculator", "does it work here?"),
        ("llmspell tool test calculator --verbose", "the call and its result too"),
    ),
)
@click.option("-v", "--verbose", is_flag=True, help="The call and its result too.")
@timeout_option
@format_option("text", "json", "pretty")
@source_option
@click.argument("tool", metavar="NAME")
def test(options: Options, tool: str, verbose: bool, timeout_s: float | None) -> int:
    """Try a tool with its own example, which touches nothing."""
    output = Output(options)
    with session(options, output) as opened:
        reply = ask_tools(opened, "test", tool=tool, timeout_s=timeout_s)
    success = bool(reply["success"])
    if output.json:
        output.document(reply)
        return 0 if success else 1
    if success:
        output.line(f"✓ Tool '{reply['tool']}' test successful")
    else:
        output.line(f"✗ Tool '{reply['tool']}' test failed: {reply['message']}")
    if verbose:
        output.properties(
            [
                ("  Parameters", _json(reply["details"]["parameters"])),
                ("  Result", _json(reply["details"]["result"])),
                ("  Message", str(reply["message"]) or "-"),
            ]
        )
    return 0 if success else 1


def _json(value: Any) -> str:
    # Only `--verbose` needs it.
    import json

    return json.dumps(value, ensure_ascii=False)
