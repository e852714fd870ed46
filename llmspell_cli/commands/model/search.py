"""`llmspell model search`."""

from __future__ import annotations

import sys

import click

from llmspell_cli.connect import session
from llmspell_cli.invocation import Options
from llmspell_cli.options import Command
from llmspell_cli.session import Content
from llmspell_cli.terminal.output import Output, room
from llmspell_cli.terminal.text import size

_WIDE = 100
"""Columns from which on licence and downloads stand beside the names."""


@click.command(
    "search",
    cls=Command,
    examples=(
        ("llmspell model search qwen3 4b", "GGUF repositories on Hugging Face"),
        ("llmspell model search embedding --limit 5", "the five that are downloaded most"),
    ),
)
@click.option("--limit", type=click.IntRange(1, 100), default=20, metavar="N", help="At most so many (20).")
@click.argument("words", metavar="WORDS…", nargs=-1, required=True)
def search(options: Options, words: tuple[str, ...], limit: int) -> None:
    """Search Hugging Face for models that candle can pull.

    SIZE is about what a pull takes, as Q4_K_M.
    """
    output = Output(options)
    with session(options, output) as opened:
        reply = opened.model("search", words=" ".join(words), limit=limit)
    if output.json:
        output.document(reply)
        return
    found = reply["repositories"]
    if not found:
        output.line(f"No GGUF repository has these words: {' '.join(words)}")
        return
    width = room(sys.stdout)
    is_narrow = width is not None and width < _WIDE
    headers = ("NAME", "SIZE") if is_narrow else ("NAME", "SIZE", "DOWNLOADS", "LICENCE", "CONTEXT")
    output.table(headers, [_row(one)[: len(headers)] for one in found])
    output.prose(f"Pull one: {found[0]['command']}")


def _row(repository: Content) -> tuple[str, ...]:
    gated = " (terms)" if repository["is_gated"] else ""
    count, context = repository.get("downloads"), repository.get("context_length")
    return (
        f"{repository['name']}{gated}",
        size(repository.get("size_bytes"), decimals_below=10),
        "-" if count is None else f"{count:,}",
        repository.get("license") or "-",
        "-" if context is None else f"{context:,}",
    )
