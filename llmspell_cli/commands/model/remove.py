"""`llmspell model remove`."""

from __future__ import annotations

import contextlib

import click

from llmspell_cli.connect import session
from llmspell_cli.invocation import Options
from llmspell_cli.options import Command
from llmspell_cli.terminal.output import Output
from llmspell_cli.terminal.prompt import confirmed
from llmspell_protocol.errors import ModelLoadFailed, Unsupported


@click.command(
    "remove",
    cls=Command,
    examples=(
        ("llmspell model remove tinyllama", "asks first"),
        ("llmspell model remove phi3@ollama --yes", "without a question"),
    ),
)
@click.option("-y", "--yes", is_flag=True, help="Don't ask.")
@click.option("--force", is_flag=True, help="Also while it answers a request.")
@click.argument("model", metavar="MODEL")
def remove(options: Options, model: str, yes: bool, force: bool) -> None:
    """Delete a model from the disk."""
    output = Output(options)
    with session(options, output) as opened:
        if not yes:
            # What isn't there, or is there twice, is said before anything is asked.
            with contextlib.suppress(ModelLoadFailed):  # one that is damaged can go, too
                info = opened.model("info", model=model)
                if (info.get("supports") or {}).get("remove") is False:
                    raise Unsupported(
                        f"{info['backend']} can't do 'remove': its models are not on this machine's disk",
                        hint="models of Ollama and candle can be removed; llmspell model list",
                        details={"operation": "remove", "backend": info["backend"]},
                    )
        if not confirmed(output, f"Remove model '{model}'?", yes=yes):
            return
        reply = opened.model("remove", model=model, force=force)
    if output.json:
        output.document(reply)
    else:
        output.line("Model removed successfully")
