"""`llmspell rag rebuild`."""

from __future__ import annotations

import click

from llmspell_cli.commands.rag.progress import RagProgressView
from llmspell_cli.commands.rag.requests import Place, place_options
from llmspell_cli.connect import session
from llmspell_cli.endings import Interrupted
from llmspell_cli.invocation import Options
from llmspell_cli.options import Command, timeout_option
from llmspell_cli.session import document
from llmspell_cli.terminal.output import Output


@click.command(
    "rebuild",
    cls=Command,
    examples=(
        ("llmspell rag rebuild", "the index, from the database"),
        ("llmspell rag rebuild --model nomic-embed-text", "with another model"),
    ),
)
@place_options
@click.option("--model", metavar="MODEL", help="Embed everything again with this model.")
@timeout_option
def rebuild(options: Options, place: Place, model: str | None, timeout_s: float | None) -> None:
    """Make the index of a collection anew from its database, or embed everything with another model.

    Searches go on with what was there until the new one is whole.
    """
    output = Output(options)
    request = {"action": "rebuild", **place.fields, "model": model}
    with (
        session(options, output, needs_model=model is not None) as opened,
        RagProgressView(output, "rag rebuild") as view,
    ):
        try:
            reply = document(opened.ask("rag_request", request, on_progress=view.show, timeout_s=timeout_s))
        except Interrupted as ended:
            ended.hint = "nothing was changed; the collection is as it was"
            raise
    if output.json:
        output.document(reply)
        return
    passages = "1 passage" if reply["chunks"] == 1 else f"{reply['chunks']:,} passages"
    made = f"{reply['vectors']:,} vectors computed, " if reply["vectors"] else ""
    model = f"model {reply['model']} ({reply['dimension']} dimensions), {reply['index']} index"
    output.line(f"✓ Rebuilt {place.words}: {passages}, {made}{model}")
