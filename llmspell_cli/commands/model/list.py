"""`llmspell model list`."""

from __future__ import annotations

from typing import Any

import click

from llmspell_cli.connect import session
from llmspell_cli.invocation import Options
from llmspell_cli.options import Command, format_option
from llmspell_cli.terminal.output import Output
from llmspell_cli.terminal.text import date, home_path, size
from llmspell_protocol.errors import error_from_content


@click.command(
    "list",
    cls=Command,
    examples=(
        ("llmspell model list -v", "sizes and dates too"),
        ("llmspell model list --backend openai", "of one backend"),
        ("llmspell model list --json | jq -r '.models[].id'", "for programs"),
    ),
)
@click.option("--backend", metavar="NAME", default="all", help="Only this backend or server.")
@click.option("-v", "--verbose", is_flag=True, help="Format, size and dates too.")
@format_option("text", "json", "pretty")
def list_models(options: Options, backend: str, verbose: bool) -> int:
    """Show installed models, and those that configured servers offer."""
    output = Output(options)
    named = None if backend == "all" else backend
    with session(options, output) as opened:
        reply = opened.model("list", backend=named)
    errors = reply.get("errors") or []
    if named and errors:
        raise error_from_content({"details": {}, **errors[0]})
    if output.json:
        output.document(reply)
        return 0
    for error in errors:
        name = f"{error['backend']}: "
        output.warning(name + error["message"].removeprefix(name))
        if error["code"] == "backend_unavailable":
            output.hint(f"llmspell config set providers.{error['backend']}.enabled false switches it off")
    damaged = reply.get("damaged") or []
    if reply["models"] or not damaged:
        _show(output, reply["models"], verbose=verbose)
    _show_damaged(output, damaged)
    return 0


def _show_damaged(output: Output, damaged: list[dict[str, Any]]) -> None:
    for model in damaged:
        output.line(f"✗ {model['id']} is damaged: {model['reason']} ({home_path(model['path'])})")
    if damaged:
        output.hint("llmspell doctor --fix moves it away, llmspell model pull --force MODEL fetches it again")


def _show(output: Output, models: list[dict[str, Any]], *, verbose: bool) -> None:
    if not models:
        output.line("No local models found")
        output.hint("llmspell model available")
    elif verbose or output.pretty:
        headers = ("NAME", "BACKEND", "FORMAT", "QUANT", "SIZE", "MODIFIED", "LOADED")
        output.table(headers, [_row(model) for model in models])
    else:
        output.table(("NAME", "BACKEND"), [(model["id"], model["backend"]) for model in models], heading=False)


def _row(model: dict[str, Any]) -> tuple[str, ...]:
    return (
        model["id"],
        model["backend"],
        model.get("format") or "-",
        model.get("quantization") or "-",
        size(model.get("size_bytes")),
        date(model.get("modified_at")),
        "yes" if model.get("loaded") else "no",
    )
