"""The one question after a kernel was started by hand: whether the next one may start by itself."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from llmspell_cli.choice import directory
from llmspell_cli.terminal.output import Output
from llmspell_cli.terminal.prompt import answer
from llmspell_profiles.loading.provenance import cli_setting
from llmspell_protocol.errors import LlmspellError

KEY = "cli.autostart"
_QUESTION = "Start one by itself when a command needs a model and none runs? [y/N]: "


def offer_autostart(output: Output) -> None:
    """Asks at a terminal, once: the answer goes into the user's file, and a file that has one is not asked about."""
    if output.json or not (sys.stdin.isatty() and sys.stdout.isatty()):
        return
    if cli_setting("autostart", os.environ, directory()) is not None:
        return
    try:
        said = answer(output, _QUESTION)
    except (EOFError, KeyboardInterrupt):
        output.line()
        return  # No answer: another time.
    value = "always" if said.strip() in ("y", "Y") else "never"
    # Only an answer needs the schema.
    from llmspell_profiles.writing import set_key

    try:
        written = set_key(KEY, value, env=os.environ, cwd=Path(directory()))
    except LlmspellError as error:
        output.warning(f"{KEY} was not written: {error.message}")
        return
    other = "never" if value == "always" else "always"
    output.line(f"{KEY} = {value} in {written.file}; to change it: llmspell config set {KEY} {other}")
