"""`llmspell model load`."""

from __future__ import annotations

import click

from llmspell_cli.commands.model.context import context_text
from llmspell_cli.connect import resident_session
from llmspell_cli.invocation import Options
from llmspell_cli.options import Command, timeout_option
from llmspell_cli.session import document
from llmspell_cli.terminal.output import Output
from llmspell_cli.terminal.progress import ProgressView
from llmspell_cli.terminal.text import short_time, size


@click.command(
    "load",
    cls=Command,
    examples=(
        ("llmspell model load smollm2:135m --keep-alive 1h", "goes after an idle hour"),
        ("llmspell model load tinyllama --pin", "stays"),
        ("llmspell model load tinyllama --device cpu", "leaves the graphics card to others"),
        ("llmspell model load tinyllama --speculation off", "without drafts"),
        ("llmspell model load smollm2:135m --num-ctx 2048", "with a context of 2,048 tokens"),
    ),
)
@click.option("--keep-alive", metavar="DURATION", help="Idle time before it goes; -1: never.")
@click.option("--pin", is_flag=True, help="Never unload it to make room.")
@click.option("--device", metavar="DEVICE", help="Where it runs: auto, cpu, cuda, cuda:N or metal.")
@click.option("--speculation", metavar="KIND", help="Drafts of tokens: auto, off or ngram.")
@click.option("--num-ctx", type=click.IntRange(min=1), metavar="N", help="Context of a request, in tokens.")
@timeout_option
@click.argument("model", metavar="MODEL")
def load(
    options: Options,
    model: str,
    keep_alive: str | None,
    pin: bool,
    device: str | None,
    speculation: str | None,
    num_ctx: int | None,
    timeout_s: float | None,
) -> None:
    """Load a model into a running kernel."""
    output = Output(options)
    with (
        resident_session(options, output, needs_model=True) as opened,
        ProgressView(output, "model load", model) as view,
    ):
        reply = document(
            opened.ask(
                "model_request",
                {
                    "action": "load",
                    "model": model,
                    "keep_alive": keep_alive,
                    "pin": pin,
                    "device": device,
                    "speculation": speculation,
                    "num_ctx": num_ctx,
                },
                on_progress=view.show,
                timeout_s=timeout_s,
            )
        )
    if output.json:
        output.document(reply)
        return
    for warning in reply.get("warnings") or ():
        output.warning(warning)
    name = f"{reply['model']}@{reply['backend']}"
    memory = f" ({size(reply['memory_bytes'])})" if reply.get("memory_bytes") else ""
    took = f" in {short_time(reply['load_ms'])}" if reply.get("load_ms") is not None else ""
    output.line(f"✓ Loaded {name} on {reply['device']}{took}{memory}{context_text(reply, ', ')}")
