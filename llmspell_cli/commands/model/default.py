"""`llmspell model default [MODEL]`: the model of commands, scripts and requests that name none."""

from __future__ import annotations

from typing import Any

import click

from llmspell_cli.connect import session
from llmspell_cli.invocation import Options
from llmspell_cli.options import Command, format_option
from llmspell_cli.terminal.output import Output
from llmspell_cli.terminal.text import home_path
from llmspell_protocol.errors import ModelNotFound


@click.command(
    "default",
    cls=Command,
    examples=(
        ("llmspell model default", "which it is"),
        ("llmspell model default qwen3:0.6b", "this one from now on"),
        ("llmspell model default openai/gpt-5-mini", "a vendor's"),
    ),
)
@click.argument("model", metavar="[MODEL]", required=False)
@format_option("text", "json", "pretty")
def default(options: Options, model: str | None) -> None:
    """Show the default model, or make MODEL the default.

    It is written into your configuration file, or into the file that -c names.
    """
    output = Output(options)
    if model is None:
        _show(options, output)
    else:
        _set(options, output, model)


def _show(options: Options, output: Output) -> None:
    try:
        with session(options, output) as opened:
            known: dict[str, Any] = opened.model("info", model="")
    except ModelNotFound as error:
        name = str(error.details.get("model") or "")
        if not name:
            raise
        known = {"id": name, "backend": None, "hint": error.hint}
    if output.json:
        output.document({"model": known["id"], "backend": known["backend"], "installed": known["backend"] is not None})
    elif known["backend"] is None:
        output.line(f"{known['id']} (not installed)")
        output.hint(known["hint"] or "llmspell model available")
    else:
        output.line(f"{known['id']}@{known['backend']}")


def _set(options: Options, output: Output, model: str) -> None:
    with session(options, output) as opened:
        known = opened.model("info", model=model)
    # Only who changes the settings needs their schema.
    from llmspell_cli.config_change import change, running_ids, tell_what_is_stronger, tell_who_does_not_know
    from llmspell_profiles.writing import set_keys

    backend = known["backend"]
    done = change(
        options,
        set_keys,
        {"providers.default_provider": backend, f"providers.{backend}.default_model": known["id"]},
    )
    running = running_ids(done[0].file)
    if output.json:
        output.document(
            {
                "model": known["id"],
                "backend": backend,
                "installed": True,
                "file": str(done[0].file),
                "shadowed_by": done[1].shadowed_by or done[0].shadowed_by,
                "kernels": running,
            }
        )
        return
    output.line(f"✓ The default model is {known['id']}@{backend} ({home_path(str(done[0].file))})")
    stronger = next((each for each in reversed(done) if each.shadowed_by is not None), None)
    if stronger is not None:
        tell_what_is_stronger(output, stronger)
    tell_who_does_not_know(output, running)
