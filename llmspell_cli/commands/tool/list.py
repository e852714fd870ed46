"""`llmspell tool list`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

from llmspell_cli.commands.tool.requests import ask_tools, category_option, source_option
from llmspell_cli.connect import session
from llmspell_cli.invocation import Options
from llmspell_cli.options import format_option
from llmspell_cli.permissions import PermittingCommand, permission_options
from llmspell_cli.session import Content
from llmspell_cli.terminal.output import Output
from llmspell_cli.terminal.text import home_path
from llmspell_protocol.errors import InvalidRequest
from llmspell_protocol.request_options import EVERYTHING

_HEADERS = ("NAME", "CATEGORY", "LEVEL", "SOURCE", "DESCRIPTION")


@click.command(
    "list",
    cls=PermittingCommand,
    examples=(
        ("llmspell tool list -v", "categories and levels too"),
        ("llmspell tool list --category data", "of one category"),
        ("llmspell tool list --permissions", "what tools may touch"),
        ("llmspell tool list --json | jq -r '.tools[].name'", "for programs"),
    ),
)
@category_option
@click.option("-v", "--verbose", is_flag=True, help="Category, level, source and description too.")
@click.option("--permissions", is_flag=True, help="What tools may touch, and what allows it.")
@format_option("text", "json", "pretty")
@source_option
@permission_options
def list_tools(
    options: Options, category: str | None, verbose: bool, permissions: bool, allow: Mapping[str, Sequence[str]]
) -> None:
    """Show tools, or with --permissions what they may touch.

    Each --allow-… shows what a command with it would allow.
    """
    output = Output(options)
    if permissions and category is not None:
        raise InvalidRequest("--permissions is about all tools", hint="drop --category")
    if allow and not permissions:
        raise InvalidRequest("--allow-… means something with --permissions only here", hint="add --permissions")
    with session(options, output) as opened:
        if permissions:
            reply = ask_tools(opened, "permissions", allow=allow)
        else:
            reply = ask_tools(opened, "list", category=category)
    if output.json:
        output.document(reply)
    elif permissions:
        _show_permissions(output, reply)
    else:
        _show(output, reply, verbose=verbose)


def _show(output: Output, reply: Content, *, verbose: bool) -> None:
    tools: Sequence[Mapping[str, Any]] = reply["tools"]
    if output.pretty:
        output.line("Available Tools:")
    if not tools:
        output.line("No tools found")
    elif verbose or output.pretty:
        output.table(_HEADERS, [_row(tool) for tool in tools])
    else:
        for tool in tools:
            output.line(str(tool["name"]))
    if output.pretty:
        output.line(f"Total: {reply['count']} tool{'' if reply['count'] == 1 else 's'}")
    for problem in reply["problems"]:
        output.warning(problem)


def _row(tool: Mapping[str, Any]) -> tuple[str, ...]:
    first, _, _ = str(tool["description"]).partition(". ")
    return tool["name"], tool["category"], tool["security_level"], tool["source"], first.rstrip(".")


def _show_permissions(output: Output, reply: Content) -> None:
    """A row a kind: what this command's calls may touch, what those of scripts and agents may, and what allows more."""
    rows = [
        (one["permission"], _named(one["names"]), _named(one["script_names"]), one["flag"], one["setting"])
        for one in reply["permissions"]
    ]
    output.table(("KIND", "TOOLS", "TOOLS OF SCRIPTS", "OPTION", "SETTING"), rows)
    if not output.pretty:
        output.line()
    approval = str(reply["approval"])
    # A later kernel may have further words.
    output.prose(f"{_APPROVAL.get(approval, approval)} (tools.approval)")


def _named(names: Sequence[str]) -> str:
    if EVERYTHING in names:
        return "everything"
    return ", ".join(home_path(name) for name in names) or "nothing"


_APPROVAL = {
    "never": "A model's calls are done without asking",
    "restricted": "A model's calls of restricted and privileged tools are asked about first",
    "always": "Every call of a model's is asked about first",
}
