"""`llmspell session show`."""

from __future__ import annotations

import click

from llmspell_cli.commands.session.requests import Shown, short_id
from llmspell_cli.commands.session.transcript import lines
from llmspell_cli.connect import session
from llmspell_cli.invocation import Options
from llmspell_cli.options import Command, format_option
from llmspell_cli.session import Content
from llmspell_cli.terminal.output import Output
from llmspell_cli.terminal.text import date, home_path, size


@click.command(
    "show",
    cls=Command,
    examples=(
        ("llmspell session show notes", "a conversation, to be read"),
        ("llmspell session show 3f2a", "by the beginning of its id"),
        ("llmspell session show notes --json", "every step, for programs"),
    ),
)
@format_option("text", "json", "pretty")
@click.argument("session_id", metavar="SESSION")
def show(options: Options, session_id: str) -> None:
    """Show a session: a conversation as people read it, steps, artifacts.

    SESSION is its name, or the beginning of its id.
    """
    output = Output(options)
    with session(options, output) as opened:
        shown = Shown(opened, session_id)
        if output.json:
            whole = shown.whole()
            output.document({**whole.pop("session"), **whole})
            return
        _show_properties(output, shown.session)
        for at, line in enumerate(lines(shown.steps())):
            if at == 0:
                output.line()
            output.lines(line)
    if shown.artifacts:
        output.line()
        output.line("Artifacts:")
        output.table(
            ("ID", "NAME", "TYPE", "SIZE", "STORED"),
            [
                (one["id"], one["name"], one["type"], size(one["size_bytes"]), date(one["created_at"]))
                for one in shown.artifacts
            ],
        )


def _show_properties(output: Output, known: Content) -> None:
    tokens = f"{known['prompt_tokens']} read, {known['completion_tokens']} written"
    pairs = [
        ("Session", f"{known['name']} ({short_id(known['id'])})"),
        *([("Description", known["description"])] if known["description"] else []),
        ("Status", f"{known['status']}, {known['kind']}"),
        *([("Tags", ", ".join(known["tags"]))] if known["tags"] else []),
        ("Begun", f"{date(known['created_at'])}, last used {date(known['last_activity'])}"),
        ("Tokens", tokens),
        ("Kept in", f"{home_path(known['place'])}, {size(known['size_bytes'])}"),
    ]
    if known["dropped"]:
        pairs.append(("Not recorded", f"{known['dropped']} steps, which came faster than they could be written"))
    output.properties(pairs)
