"""`llmspell model info`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import click

from llmspell_cli.connect import session
from llmspell_cli.invocation import Options
from llmspell_cli.model_files import is_file
from llmspell_cli.options import Command, format_option
from llmspell_cli.terminal.output import Output
from llmspell_cli.terminal.text import home_path, parameters, size
from llmspell_protocol.errors import InvalidRequest

UNKNOWN = "unknown"
"""What stands where a server doesn't tell."""
FORMATS = {"gguf": "GGUF", "safetensors": "Safetensors"}


@click.command(
    "info",
    cls=Command,
    examples=(
        ("llmspell model info smollm2:135m", "of the first backend that has it"),
        ("llmspell model info phi3@ollama --format json", "for programs"),
    ),
)
@format_option("text", "json", "pretty")
@click.argument("model", metavar="MODEL")
def info(options: Options, model: str) -> None:
    """Show what is known about a model."""
    output = Output(options)
    if is_file(model):
        # Only who names a file needs it.
        from shlex import quote

        raise InvalidRequest(
            f"{model} is a file and no model's name",
            hint=f"llmspell model import {quote(model)}, and then the name that this gives the model",
        )
    with session(options, output) as opened:
        known = opened.model("info", model=model)
    if output.json:
        known.pop("status", None)
        output.document(known)
        return
    # Only people need the words in groups.
    from llmspell_protocol.abilities import OPERATIONS, REQUESTED, TOLD

    supports: dict[str, bool] = known.get("supports") or {}
    form = FORMATS.get(known["format"]) or known["format"]
    quantization = known.get("quantization")
    # A server lists names; what the model behind one can do is not among what it tells.
    remote = known["format"] == "remote"
    kind: str = f"{form} ({quantization})" if quantization else form
    output.properties(
        [
            ("Model", known["id"]),
            ("Backend", known["backend"]),
            ("Format", kind),
            ("Architecture", known.get("architecture") or known.get("family") or "-"),
            ("Parameters", parameters(known.get("parameter_count"))),
            ("Context", str(known.get("context_length") or "-")),
            ("Size", UNKNOWN if remote and not known.get("size_bytes") else size(known.get("size_bytes"))),
            ("Chat template", UNKNOWN if remote else _chat_template(known)),
            ("Capabilities", UNKNOWN if remote else _listed(known.get("capabilities") or ())),
            ("Operations", _listed(word for word in OPERATIONS if supports.get(word))),
            ("Requests", _listed(word for word in REQUESTED if supports.get(word))),
            ("Replies", _listed(word for word in TOLD if supports.get(word))),
            ("Cannot", _listed(word for word, has in supports.items() if not has)),
            ("Loaded", "yes" if known.get("loaded") else "no"),
            ("License", known.get("license") or "-"),
            ("Path", home_path(known.get("path"))),
        ]
    )


def _chat_template(known: Mapping[str, Any]) -> str:
    abilities = known.get("capabilities")
    if abilities and "chat" not in abilities:
        return "-"
    return "yes" if known.get("chat_template") else "no: it continues the bare texts of messages"


def _listed(words: Iterable[str]) -> str:
    return ", ".join(words) or "-"
