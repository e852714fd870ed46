"""`llmspell model unload`."""

from __future__ import annotations

import click

from llmspell_cli.connect import resident_session
from llmspell_cli.invocation import Options
from llmspell_cli.options import Command
from llmspell_cli.terminal.output import Output
from llmspell_cli.terminal.text import size
from llmspell_protocol.errors import InvalidRequest


@click.command(
    "unload",
    cls=Command,
    examples=(
        ("llmspell model unload smollm2:135m", "one"),
        ("llmspell model unload --all", "all that are idle"),
    ),
)
@click.option("--all", "everything", is_flag=True, help="All loaded models.")
@click.option("--force", is_flag=True, help="Also while it answers a request.")
@click.argument("model", metavar="[MODEL]", required=False)
def unload(options: Options, model: str | None, everything: bool, force: bool) -> None:
    """Unload a model, or all."""
    output = Output(options)
    if (model is None) != everything:
        raise InvalidRequest("name a model, or say --all", hint="llmspell model ps; kernels: llmspell kernel stop")
    with resident_session(options, output, about_loaded=True) as opened:
        reply = opened.model("unload", model=model, force=force)
    if output.json:
        output.document(reply)
        return
    if model is not None and not any(unloaded["bytes_freed"] for unloaded in reply["unloaded"]):
        output.line(f"{model} is not loaded")
        return
    for unloaded in reply["unloaded"]:
        freed = f" ({size(unloaded['bytes_freed'])} freed)" if unloaded.get("bytes_freed") else ""
        output.line(f"✓ Unloaded {unloaded['model']}@{unloaded['backend']}{freed}")
    if not reply["unloaded"]:
        output.line("No models loaded")
