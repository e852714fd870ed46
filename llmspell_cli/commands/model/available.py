"""`llmspell model available`."""

from __future__ import annotations

import sys
from typing import Any

import click

from llmspell_cli.connect import session
from llmspell_cli.invocation import Options
from llmspell_cli.options import Command, format_option
from llmspell_cli.terminal.output import Output, room
from llmspell_cli.terminal.text import size
from llmspell_protocol.backends import LOCAL_BACKENDS

MORE = "https://ollama.com/library  https://huggingface.co/models?library=gguf"
_WIDE = 132
"""Columns from which on descriptions stand beside the numbers."""


@click.command(
    "available",
    cls=Command,
    examples=(
        ("llmspell model available --recommended", "a short list"),
        ("llmspell model available --fits", "what this machine has the memory for"),
        ("llmspell model available --backend candle", "of one backend"),
    ),
)
@click.option("--backend", type=click.Choice(LOCAL_BACKENDS), help="Only this backend.")
@click.option("--recommended", is_flag=True, help="Only recommended models.")
@click.option("--fits", is_flag=True, help="Only what fits this machine's memory.")
@format_option("text", "json", "pretty")
def available(options: Options, backend: str | None, recommended: bool, fits: bool) -> None:
    """Show models that can be pulled: the packaged catalog, no network.

    MEMORY is about what a model takes with one conversation of 4,096 tokens; loaded as usual it keeps four, of up to
    its whole context, and takes more (model ps). Ollama's part is a selection, since its library has no listing.
    """
    output = Output(options)
    with session(options, output) as opened:
        reply = opened.model("available", backend=backend, recommended=recommended, fits=fits)
    if output.json:
        output.document(reply)
        return
    width = room(sys.stdout)
    is_narrow = width is not None and width < _WIDE
    headers, row = (_SHORT, _short_row) if is_narrow else (_LONG, _row)
    output.table(headers, [row(model) for model in reply["models"]])
    output.prose("* recommended. FITS: this machine has the memory now. Sizes and memory are about right.")
    if is_narrow:
        output.prose("What each is good for: a wider window, --format json, or docs/reference/catalog.md")
    output.prose(f"More: llmspell model search WORDS, {MORE}")
    if backend != "candle":
        output.prose("Ollama's models are a selection: its library has no listing")


_LONG = ("NAME", "BACKEND", "PARAMS", "SIZE", "MEMORY", "FITS", "INSTALLED", "CAN", "DESCRIPTION")
_SHORT = ("NAME", "BACKEND", "SIZE", "MEMORY", "FITS")


def _row(model: dict[str, Any]) -> tuple[str, ...]:
    name, backend, disk, memory, fits = _short_row(model)
    return (
        name.removesuffix(" *"),
        backend,
        model.get("parameters") or "-",
        disk,
        memory,
        fits,
        "yes" if model.get("installed") else "no",
        ",".join(one for one in model.get("capabilities") or () if one != "chat") or "chat",
        f"* {model['description']}" if model.get("recommended") else model["description"],
    )


def _short_row(model: dict[str, Any]) -> tuple[str, ...]:
    fits = model.get("fits")
    return (
        f"{model['name']} *" if model.get("recommended") else model["name"],
        model["backend"],
        size(model.get("size_bytes"), decimals_below=10),
        size(model.get("memory_bytes"), decimals_below=10),
        "-" if fits is None else "yes" if fits else "no",
    )
