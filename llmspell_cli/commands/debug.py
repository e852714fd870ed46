"""`llmspell debug SCRIPT`: a script with breakpoints, steps and a look at its variables."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

import click

from llmspell_cli.commands.run import ScriptCommand, engine_of, read_script
from llmspell_cli.invocation import Options
from llmspell_cli.permissions import permission_options
from llmspell_cli.script import Script, engine_option
from llmspell_cli.terminal.output import Output


class DebugCommand(ScriptCommand):
    """As `run`, whose words mean the same here."""

    alone = ("--json",)


@click.command(
    "debug",
    cls=DebugCommand,
    epilog="Words after SCRIPT are its arguments. help at the prompt lists its commands.",
    examples=(
        ("llmspell debug script.lua", "stop at the first line"),
        ("llmspell debug --break-at script.lua:12 script.lua", "run up to line 12"),
        ("llmspell debug --break-on-error script.lua", "stop where an error is raised"),
        ("llmspell debug script.lua < commands.txt", "commands from a file"),
        ("llmspell debug --port 9229 script.lua", "for an editor"),
    ),
)
@permission_options
@engine_option
@click.option(
    "-b", "--break-at", "--break", "places", metavar="[FILE:]LINE", multiple=True, help="Stop there; repeatable."
)
@click.option("--watch", "watched", metavar="EXPR", multiple=True, help="Show its value at each stop; repeatable.")
@click.option("--step", is_flag=True, help="Stop at the first line.")
@click.option("--break-on-error", is_flag=True, help="Stop where an error is raised that nothing catches.")
@click.option("--port", type=click.IntRange(0, 65535), metavar="N", help="Serve an editor's debugger on 127.0.0.1:N.")
@click.argument("script", metavar="SCRIPT")
def debug(
    options: Options,
    script: str,
    arguments: list[str],
    engine: str | None,
    places: Sequence[str],
    watched: Sequence[str],
    step: bool,
    break_on_error: bool,
    port: int | None,
    allow: Mapping[str, Sequence[str]],
) -> int:
    """Run a script in the debugger."""
    # The kernel's code, and the debugger's, are only for those who debug.
    from llmspell_cli.connect import session
    from llmspell_cli.debug_run import DebugRun
    from llmspell_cli.debugger.commands import DebugCommands
    from llmspell_cli.debugger.points import Places

    output = Output(options)
    name, code, path = read_script(script)
    commands = DebugCommands(Places(script, os.path.normpath(path or name)))
    for place in places:
        commands.add(place)
    for expression in watched:
        commands.watch(expression)
    if break_on_error:
        commands.stop_at_errors(["uncaught"])
    wanted = Script(
        name=name,
        code=code,
        engine=engine or engine_of(path),
        path=path,
        arguments=arguments,
        allow=allow,
        shown={"script": script},
    )
    with session(options, output, runs_script=True) as opened:
        if port is not None:
            from llmspell_cli.debug_port import DebugPort

            return DebugPort(opened, output, wanted, port).run()
        return DebugRun(opened, output, wanted, commands, steps_in=step).run()
