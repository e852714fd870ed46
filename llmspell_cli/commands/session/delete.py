"""`llmspell session delete`."""

from __future__ import annotations

import click

from llmspell_cli.commands.session.requests import ask_sessions, short_id
from llmspell_cli.connect import session
from llmspell_cli.invocation import Options
from llmspell_cli.options import Command
from llmspell_cli.terminal.output import Output
from llmspell_cli.terminal.prompt import confirmed
from llmspell_protocol.errors import InvalidRequest


@click.command(
    "delete",
    cls=Command,
    examples=(
        ("llmspell session delete notes", "one, with its artifacts"),
        ("llmspell session delete --all --yes", "all, without a question"),
    ),
)
@click.option("--all", "everything", is_flag=True, help="All sessions.")
@click.option("-y", "--yes", is_flag=True, help="Don't ask.")
@click.argument("session_id", metavar="SESSION", required=False)
def delete(options: Options, session_id: str | None, everything: bool, yes: bool) -> None:
    """Delete a session, or all, with what was stored in them."""
    output = Output(options)
    if (session_id is None) != everything:
        raise InvalidRequest("name a session, or say --all", hint="llmspell session list")
    with session(options, output) as opened:
        known = None
        if session_id is not None:
            known = ask_sessions(opened, "show", session=session_id, steps=False)["session"]
        question = "Delete all sessions?" if known is None else f"Session '{known['name']}' is active. Delete it?"
        must_ask = known is None or known["status"] == "active"
        if must_ask and not confirmed(output, question, yes=yes):
            return
        reply = ask_sessions(opened, "delete", session=None if known is None else known["id"], all=everything)
    if output.json:
        output.document({"status": "deleted", "deleted": reply["deleted"]})
    elif known is None:
        output.line(f"✓ Deleted all sessions ({len(reply['deleted'])})")
    else:
        output.line(f"✓ Deleted session: {known['name']} ({short_id(known['id'])})")
