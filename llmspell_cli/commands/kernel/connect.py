"""`llmspell kernel connect`: the repl on a running kernel."""

from __future__ import annotations

import click

from llmspell_cli.commands.repl import talk
from llmspell_cli.invocation import Options
from llmspell_cli.options import Command
from llmspell_cli.script import engine_option
from llmspell_protocol.errors import InvalidRequest


@click.command(
    "connect",
    cls=Command,
    examples=(
        ("llmspell kernel connect", "the one that runs, or the last one used"),
        ("llmspell kernel connect port-9555", "by id"),
        ("llmspell kernel connect localhost:9555", "by address"),
    ),
)
@engine_option
@click.option("--history", metavar="FILE", help="Where inputs are kept (~/.llmspell/repl_history).")
@click.argument("target", metavar="[TARGET]", required=False)
def connect(options: Options, target: str | None, engine: str | None, history: str | None) -> int:
    """Open the repl on a running kernel."""
    if target is not None and options.connect_named:
        raise InvalidRequest("the kernel is named twice", hint=f"llmspell kernel connect {target}")
    chosen = target or options.connect or _running_or_last()
    return talk(options._replace(connect=chosen), engine=engine, history=history)


def _running_or_last() -> str:
    """The one kernel that runs; where there are none or several, the last one used.

    Raises:
        KernelUnreachable: none runs and none was used.
        InvalidRequest: several run.
    """
    # Looking for kernels is only needed where none is named.
    from llmspell_cli.choice import the_only_one
    from llmspell_cli.connect import run_directory
    from llmspell_cli.repl.last_kernel import remembered
    from llmspell_protocol.errors import KernelUnreachable

    try:
        info = the_only_one("llmspell kernel connect")
    except (KernelUnreachable, InvalidRequest):
        if (last := remembered(run_directory())) is not None:
            return last
        raise
    return info.id or info.address
