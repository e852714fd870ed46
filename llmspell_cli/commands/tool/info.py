"""`llmspell tool info`."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import click

from llmspell_cli.commands.tool.requests import ask_tools, source_option
from llmspell_cli.connect import session
from llmspell_cli.invocation import Options
from llmspell_cli.options import Command, format_option
from llmspell_cli.terminal.output import Output, document_text


@click.command(
    "info",
    cls=Command,
    examples=(
        ("llmspell tool info calculator", "for people"),
        ("llmspell tool info calculator --show-schema", "the JSON Schema too"),
        ("llmspell tool info calculator --json", "for programs"),
    ),
)
@click.option("--show-schema", is_flag=True, help="The parameters as JSON Schema too.")
@format_option("text", "json", "pretty")
@source_option
@click.argument("tool", metavar="NAME")
def info(options: Options, tool: str, show_schema: bool) -> None:
    """Show what a tool does and takes."""
    output = Output(options)
    with session(options, output) as opened:
        known: dict[str, Any] = dict(ask_tools(opened, "info", tool=tool)["tool"])
    # Only who looks at a tool needs it.
    from llmspell_protocol.tools.parameters import parameters_of

    schema = known.pop("parameters")
    parameters = parameters_of(schema)
    if output.json:
        known["parameters"] = [one.as_content() for one in parameters]
        output.document({**known, "schema": schema} if show_schema else known)
        return
    output.properties(
        [
            ("Name", known["name"]),
            ("Description", known["description"]),
            ("Category", known["category"]),
            ("Level", known["security_level"]),
            ("Needs", _needs(known["needs"])),
            ("Source", f"{known['source']} {known['version']}"),
            ("Settings", ", ".join(f"tools.{name}" for name in known["settings"]) or "-"),
            ("Result", known["result"] or "-"),
        ]
    )
    output.line()
    output.line("Parameters:" if parameters else "It takes no parameters.")
    if parameters:
        output.definitions([(f"  {one.name}", _meaning(one.as_content())) for one in parameters])
    if known["example"]:
        output.line()
        output.line("Example:")
        output.line(f"  llmspell tool invoke {_quoted(known['name'])} --params {_quoted(_json(known['example']))}")
    if show_schema:
        output.line()
        output.lines(document_text(schema, sys.stdout))


def _needs(kinds: list[str]) -> str:
    return ", ".join(f"--allow-{kind}" for kind in kinds) or "no permission"


def _meaning(one: Mapping[str, Any]) -> str:
    """What stands beside a parameter's name: its type, what it is, and in brackets the rest."""
    more = ["required"] if one["required"] else []
    if "default" in one and one["default"] not in ({}, []):
        more.append(f"default {_json(one['default'])}")
    if "enum" in one:
        more.append(f"one of {', '.join(map(str, one['enum']))}")
    if "also" in one:
        more.append(f"or: {', '.join(one['also'])}")
    in_brackets = [f"({'; '.join(more)})"] if more else []
    return "  ".join([one["type"], " ".join([*filter(None, [one["description"]]), *in_brackets])]).rstrip()


def _json(value: Any) -> str:
    # Only people need it.
    import json

    return json.dumps(value, ensure_ascii=False)


def _quoted(text: str) -> str:
    from shlex import quote

    return quote(text)
