"""`llmspell model available`."""

from __future__ import annotations

from typing import Any

import click

from llmspell_cli.connect import session
from llmspell_cli.invocation import Options
from llmspell_cli.options import Command, format_option
from llmspell_cli.terminal.output import Output
from llmspell_cli.terminal.text import size
from llmspell_protocol.backends import LOCAL_BACKENDS

MORE = "https://ollama.com/library  https://huggingface.co/models?pipeline_tag=text-generation"


@click.command(
    "available",
    cls=Command,
    examples=(
        ("llmspell model available --recommended", "a short list"),
        ("llmspell model available --backend candle", "of one backend"),
    ),
)
@click.option("--backend", type=click.Choice(LOCAL_BACKENDS), help="Only this backend.")
@click.option("--recommended", is_flag=True, help="Only recommended models.")
@format_option("text", "json", "pretty")
def available(options: Options, backend: str | None, recommended: bool) -> None:
    """Show models that can be pulled: the packaged catalog, no network.

    Ollama's part is a selection, since its library has no listing.
    """
    output = Output(options)
    with session(options, output) as opened:
        reply = opened.model("available", backend=backend, recommended=recommended)
    if output.json:
        output.document(reply)
        return
    headers = ("NAME", "BACKEND", "PARAMS", "SIZE", "INSTALLED", "DESCRIPTION")
    output.table(headers, [_row(model) for model in reply["models"]])
    output.prose(f"* recommended. More: {MORE}")
    if backend != "candle":
        output.prose("Ollama's models are a selection: its library has no listing")


def _row(model: dict[str, Any]) -> tuple[str, ...]:
    return (
        model["name"],
        model["backend"],
        model.get("parameters") or "-",
        size(model.get("size_bytes"), decimals_below=10),
        "yes" if model.get("installed") else "no",
        f"* {model['description']}" if model.get("recommended") else model["description"],
    )
