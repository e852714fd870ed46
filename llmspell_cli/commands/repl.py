"""`llmspell repl`: an interactive session in a kernel's shared script context."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from llmspell_cli.invocation import Options
from llmspell_cli.options import Command
from llmspell_cli.script import engine_option, rag_profile_option
from llmspell_cli.terminal.output import Output
from llmspell_protocol.user_home import expanded_user


@click.command(
    "repl",
    cls=Command,
    examples=(
        ("llmspell repl", "a session with its own kernel"),
        ("llmspell --connect auto repl", "on the running one"),
        ("llmspell repl < inputs.lua", "no prompts, just runs"),
    ),
)
@engine_option
@click.option("--history", metavar="FILE", help="Where inputs are kept (~/.llmspell/repl_history).")
@rag_profile_option
def repl(options: Options, engine: str | None, history: str | None) -> int:
    """Run inputs as you type them."""
    return talk(options, engine=engine, history=history)


def talk(options: Options, *, engine: str | None = None, history: str | None = None) -> int:
    """A session on the kernel that the options name, or one of its own; returns the exit status."""
    # The kernel's code, and the loop's, are only for those who talk.
    from llmspell_cli.connect import run_directory, session
    from llmspell_cli.repl.last_kernel import remember
    from llmspell_cli.repl.loop import Repl
    from llmspell_cli.terminal.history_file import HistoryFile

    output = Output(options)
    with session(options, output, runs_script=True) as opened:
        connected_to = None
        if options.connect is not None:
            info = opened.client.info
            status = opened.ask("kernel_request", {"action": "status"}).content
            connected_to = f"{status['id']} ({info.address})"
            remember(run_directory(), _lasting(options.connect, str(status["id"])))
        path = (
            Path(expanded_user(history, os.environ)) if history is not None else run_directory().parent / "repl_history"
        )
        loop = Repl(opened, output, engine=engine, history=HistoryFile(path))
        if output.json or not sys.stdin.isatty():
            return loop.run_lines()
        return loop.run_terminal(connected_to)


def _lasting(target: str, kernel_id: str) -> str:
    """The target as it means the same kernel next time and from another directory."""
    if target == "auto":
        return kernel_id
    path = expanded_user(target, os.environ)
    return os.path.abspath(path) if os.path.exists(path) else target
