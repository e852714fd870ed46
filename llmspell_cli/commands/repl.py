"""`llmspell repl`: an interactive session in a kernel's shared script context."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import click

from llmspell_cli.invocation import AUTO, Options
from llmspell_cli.permissions import PermittingCommand, permission_options
from llmspell_cli.script import engine_option, rag_profile_option
from llmspell_cli.terminal.output import Output
from llmspell_protocol.user_home import expanded_user


@click.command(
    "repl",
    cls=PermittingCommand,
    examples=(
        ("llmspell repl", "on the kernel that runs, or its own"),
        ("llmspell --embedded repl", "with its own kernel"),
        ("llmspell repl < inputs.lua", "no prompts, just runs"),
    ),
)
@permission_options
@engine_option
@click.option("--history", metavar="FILE", help="Where inputs are kept (~/.llmspell/repl_history).")
@rag_profile_option
def repl(options: Options, engine: str | None, history: str | None, allow: Mapping[str, Sequence[str]]) -> int:
    """Run inputs as you type them."""
    return talk(options, engine=engine, history=history, allow=allow)


def talk(
    options: Options,
    *,
    engine: str | None = None,
    history: str | None = None,
    allow: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> int:
    """A session on the kernel that the options name, or one of its own; returns the exit status."""
    # The kernel's code, and the loop's, are only for those who talk.
    from llmspell_cli.connect import run_directory, session
    from llmspell_cli.repl.last_kernel import remember
    from llmspell_cli.repl.loop import Repl
    from llmspell_cli.terminal.history_file import HistoryFile

    output = Output(options)
    with session(options, output, runs_script=True) as opened:
        connected_to = None
        if opened.mode == "connected":
            info = opened.client.info
            status = opened.ask("kernel_request", {"action": "status"}).content
            connected_to = f"{status['id']} ({info.address})"
            remember(run_directory(), _lasting(options.connect or AUTO, str(status["id"])))
        path = (
            Path(expanded_user(history, os.environ)) if history is not None else run_directory().parent / "repl_history"
        )
        loop = Repl(opened, output, engine=engine, history=HistoryFile(path), allow=allow)
        if output.json or not sys.stdin.isatty():
            return loop.run_lines()
        return loop.run_terminal(connected_to)


def _lasting(target: str, kernel_id: str) -> str:
    """The target as it means the same kernel next time and from another directory."""
    if target == AUTO:
        return kernel_id
    path = expanded_user(target, os.environ)
    return os.path.abspath(path) if os.path.exists(path) else target
