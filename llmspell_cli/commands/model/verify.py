"""`llmspell model verify`."""

from __future__ import annotations

import click

from llmspell_cli.connect import session
from llmspell_cli.invocation import Options
from llmspell_cli.options import Command
from llmspell_cli.session import document
from llmspell_cli.terminal.output import Output
from llmspell_cli.terminal.progress import ProgressView
from llmspell_protocol.errors import InvalidRequest


@click.command(
    "verify",
    cls=Command,
    examples=(
        ("llmspell model verify tinyllama", "one model"),
        ("llmspell model verify --all", "every installed one"),
    ),
)
@click.option("--all", "everything", is_flag=True, help="All installed models.")
@click.argument("model", metavar="[MODEL]", required=False)
def verify(options: Options, model: str | None, everything: bool) -> int:
    """Read every file of a model and compare size and sha256 with what was pulled."""
    output = Output(options)
    if (model is None) != everything:
        raise InvalidRequest("name a model, or say --all", hint="llmspell model list")
    with session(options, output) as opened, ProgressView(output, "model verify", model) as view:
        reply = document(opened.ask("model_request", {"action": "verify", "model": model}, on_progress=view.show))
    if output.json:
        output.document(reply)
        return 0 if reply["ok"] else 1
    for checked in reply["models"]:
        bad = [file for file in checked["files"] if not file["ok"]]
        if checked["ok"]:
            count = len(checked["files"])
            output.line(f"✓ {checked['model']}: {count} file{'' if count == 1 else 's'} ok")
        for file in bad:
            output.line(f"✗ {checked['model']}: {file['name']} {_what(file)}")
        if checked.get("reason"):
            output.line(f"✗ {checked['model']}: damaged: {checked['reason']}")
        if bad or checked.get("reason"):
            output.hint(f"llmspell model pull {checked['model']}@{checked.get('backend', 'candle')} --force")
    return 0 if reply["ok"] else 1


def _what(file: dict[str, object]) -> str:
    if file.get("actual") is not None:
        return "checksum mismatch"
    return str(file.get("reason") or "is missing").removeprefix("is ")
