"""`llmspell exec CODE`: a piece of code as an isolated script, whose value is shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import click

from llmspell_cli.invocation import Options
from llmspell_cli.options import timeout_option
from llmspell_cli.permissions import PermittingCommand, permission_options
from llmspell_cli.script import Script, engine_option, execute, rag_profile_option, session_option
from llmspell_cli.terminal.input_text import stdin_text
from llmspell_cli.terminal.output import Output


@click.command(
    "exec",
    cls=PermittingCommand,
    examples=(
        ("llmspell exec '6*7'", "prints 42"),
        ("llmspell exec - < script.lua", "from standard input"),
        ("llmspell exec '{a = 1}' --json", "the value as JSON"),
    ),
)
@permission_options
@engine_option
@click.option("--stream", is_flag=True, help="JSON mode: output as it comes, one event a line.")
@session_option
@timeout_option
@rag_profile_option
@click.argument("code", metavar="CODE")
def exec_code(
    options: Options,
    code: str,
    engine: str | None,
    stream: bool,
    timeout_s: float | None,
    recorded_in: str | None,
    allow: Mapping[str, Sequence[str]],
) -> int:
    """Run CODE and show its value; - reads it from standard input."""
    text = stdin_text() if code == "-" else code
    return execute(
        Script(
            name="exec",
            code=text,
            engine=engine,
            allow=allow,
            session=recorded_in,
            shown={"code_length": len(text)},
            show_result=True,
        ),
        options=options,
        output=Output(options),
        stream=stream,
        timeout_s=timeout_s,
    )
