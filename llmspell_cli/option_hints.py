"""What a person may have meant by an option that a command doesn't have. Loaded for that error alone."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches

import click

OF_OTHERS: Mapping[str, tuple[str, ...]] = {
    "--attachment": ("--image",),
    "--attach": ("--image",),
    "-a": ("--image",),
    "-T": ("--tool",),
    "--sys": ("--system",),
    "--prompt": ("--message",),
    "--verbose": ("--stats", "--trace"),
    "--hidethinking": ("--hide-thinking",),
    "--nothink": ("--no-think",),
    "--keepalive": ("--keep-alive",),
    "--temp": ("--temperature",),
    "--xl": ("--extract-last",),
}
"""Options of Ollama and llm, and ours for the same, the nearest first."""
_KEEPING = "llmspell model load MODEL --keep-alive 1h; for all models: llmspell config set models.keep_alive 1h"
_ELSEWHERE: Mapping[str, Mapping[str, str]] = {
    "chat": dict.fromkeys(("--keepalive", "--keep-alive"), _KEEPING)
    | {"--functions": "Tool.register in a script makes a tool of a function: llmspell run SCRIPT"},
    "embed": dict.fromkeys(("--keepalive", "--keep-alive"), _KEEPING),
}
"""By command: options of others, and what does the same here without an option."""
_CHAT = ("-m", "--model", "-s", "--system", "-o", "--option", "-x", "--image", "--schema")
"""What follows `llm` itself."""
_ALIKE = 0.75


def hint_for(error: click.NoSuchOption) -> str | None:
    """The hint for an unknown option; None where nothing of this command comes near."""
    if error.ctx is None:
        return None
    command, written = error.ctx.command, error.option_name
    if error.ctx.parent is None and written in _CHAT:
        return f"llmspell chat {written} …"
    if (elsewhere := _ELSEWHERE.get(command.name or "", {}).get(written)) is not None:
        return elsewhere
    shown = [
        word
        for param in (*command.params, *_globals(error.ctx))
        if isinstance(param, click.Option) and not param.hidden
        for word in (*param.opts, *param.secondary_opts)
    ]
    meant = [word for word in OF_OTHERS.get(written, ()) if word in shown]
    # Two letters are near each other by chance.
    near = get_close_matches(written, [word for word in shown if word.startswith("--")], 1, _ALIKE)
    found = (meant or near)[:1]
    return f"did you mean '{found[0]}'?" if found else None


def _globals(ctx: click.Context) -> list[click.Parameter]:
    # They stand in the help of the top level alone, and behind every command.
    return ctx.find_root().command.params
