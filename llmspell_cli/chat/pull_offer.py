"""A model that is missing and can be pulled is offered to people; programs get the error. Knows no command."""

from __future__ import annotations

import sys

from llmspell_cli.endings import resumable
from llmspell_cli.session import Session
from llmspell_cli.terminal.output import Output
from llmspell_cli.terminal.progress import ProgressView
from llmspell_cli.terminal.prompt import confirmed
from llmspell_cli.terminal.text import size
from llmspell_protocol.errors import ModelNotFound


def pulled_if_wanted(opened: Session, output: Output, error: ModelNotFound) -> str | None:
    """The name of the missing model, once it has been pulled because the user wanted that; None: the user didn't.

    Raises:
        ModelNotFound: the error itself, where there is no terminal to ask at, or nothing is known that could be pulled.
    """
    offer = error.details.get("pull")
    watched = sys.stdin.isatty() and sys.stdout.isatty() and not output.json
    if not watched or not offer:
        raise error
    model = str(offer["model"])
    output.note(f"Model '{error.details.get('model')}' is not installed")
    if (nearest := error.details.get("nearest")) is not None:
        output.note(f"Did you mean '{nearest}', which is?")
    weight = f" ({size(offer['size_bytes'])})" if offer.get("size_bytes") else ""
    if not confirmed(output, f"Pull {model} now{weight}?", yes=False, hint=f"llmspell model pull {model}"):
        return None
    with resumable(model), ProgressView(output, "model pull", model) as view:
        opened.ask("model_request", {"action": "pull", "model": model}, on_progress=view.show)
    return model
