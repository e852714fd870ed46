"""`llmspell run SCRIPT`: a file, or standard input, as an isolated script. How words are divided, and the file read."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

import click

from llmspell_cli.invocation import Options
from llmspell_cli.options import Command, timeout_option
from llmspell_cli.permissions import NAMES, permission_options, with_values
from llmspell_cli.script import Script, engine_option, execute, rag_profile_option, session_option
from llmspell_cli.terminal.input_text import file_text, stdin_text
from llmspell_cli.terminal.output import Output
from llmspell_protocol.errors import InvalidRequest, NotFound

OURS_WITH_VALUE = ("-p", "-c", "--connect", "--output", "--trace", "--timeout")
OURS_ALONE = ("--json", "--stream")


class ScriptCommand(Command):
    """Divides the words: up to the script they are ours, after it only a few whole words are.

    Click would read `-np 5` behind a script as a profile and take misspelt options for its own.
    """

    alone: Sequence[str] = OURS_ALONE
    """Words behind the script that are ours, and stand alone."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parses our words and keeps the script's own in `ctx.params["arguments"]`."""
        before, rest = self._until_script(args)
        _demand_script(before, rest)
        ours, arguments = _divide(rest, self.alone)
        words = [*with_values(before), *ours]
        # The script's name is Click's to see, so that a missing one is an error of its usual form.
        script = rest[:1]
        remaining = super().parse_args(ctx, [*words, "--", *script])
        ctx.params["arguments"] = arguments
        return remaining

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        """The words of the usage line."""
        return [*super().collect_usage_pieces(ctx), "[ARGUMENTS]..."]

    def _until_script(self, args: list[str]) -> tuple[list[str], list[str]]:
        """Our words before the script, and the script with everything behind it."""
        takes_value = {
            name: not param.is_flag and not param.count and name not in NAMES
            for param in self.params
            if isinstance(param, click.Option)
            for name in (*param.opts, *param.secondary_opts)
        }
        at = 0
        while at < len(args):
            word = args[at]
            if word == "--":
                # `run -- SCRIPT …` gives every word to the script.
                return args[:at], [*args[at + 1 : at + 2], "--", *args[at + 2 :]]
            if word == "-" or not word.startswith("-"):
                return args[:at], args[at:]
            at += 2 if takes_value.get(word, False) else 1
        return args, []


def _demand_script(before: Sequence[str], rest: Sequence[str]) -> None:
    """Raises where the script's place is taken by what a permission was to name: `--allow-read out report.lua`."""
    if not before or before[-1] not in NAMES or not rest:
        return
    name = before[-1]
    word = rest[0]
    followed = any(engine_of(other) == "lua" for other in rest[1:2])
    if os.path.isdir(word) or (followed and engine_of(word) is None):
        raise InvalidRequest(
            f"{name} stands alone and allows everything, so '{word}' would be the script",
            hint=f"did you mean {name}={word}?",
        )


def _divide(rest: list[str], alone: Sequence[str] = OURS_ALONE) -> tuple[list[str], list[str]]:
    """Words behind the script: ours, and the script's.

    Raises:
        InvalidRequest: a permission is among them, which stands before the script.
    """
    ours: list[str] = []
    arguments: list[str] = []
    words = iter(rest[1:])
    for word in words:
        if word == "--":
            arguments.extend(words)
        elif word in alone:
            ours.append(word)
        elif word in OURS_WITH_VALUE:
            ours.extend((word, *[value for value in [next(words, None)] if value is not None]))
        elif word.partition("=")[0] in (*NAMES, "--allow-all"):
            raise InvalidRequest(
                f"{word} stands behind the script, where it allows nothing",
                hint=f"llmspell run {word} {rest[0]}, or -- before the script's own words",
            )
        else:
            arguments.append(word)
    return ours, arguments


@click.command(
    "run",
    cls=ScriptCommand,
    epilog="Words after SCRIPT are its arguments.",
    examples=(
        ("llmspell run hello.lua -- --name world", "ARGS.name is world"),
        ("llmspell -p candle run agent.lua --stream", "model output as it comes"),
        ("echo 'print(1)' | llmspell run -", "from standard input"),
        ("llmspell run --allow-write=out report.lua", "may write below out"),
    ),
)
@permission_options
@engine_option
@click.option("--stream", is_flag=True, help="JSON mode: output as it comes, one event a line.")
@session_option
@timeout_option
@rag_profile_option
@click.argument("script", metavar="SCRIPT")
def run(
    options: Options,
    script: str,
    arguments: list[str],
    engine: str | None,
    stream: bool,
    timeout_s: float | None,
    recorded_in: str | None,
    allow: Mapping[str, Sequence[str]],
) -> int:
    """Run a script; - reads it from standard input."""
    output = Output(options)
    try:
        name, code, path = read_script(script)
    except NotFound as error:
        error.hint = error.hint or _hint_of_a_model(script, arguments)
        raise
    return execute(
        Script(
            name=name,
            code=code,
            engine=engine or engine_of(path),
            path=path,
            arguments=arguments,
            allow=allow,
            session=recorded_in,
            shown={"script": script, "script_length": len(code), "args_count": len(arguments)},
        ),
        options=options,
        output=output,
        stream=stream,
        timeout_s=timeout_s,
    )


def read_script(script: str) -> tuple[str, str, str | None]:
    """Name, code and absolute path of a script; `-` is standard input."""
    if script == "-":
        return "stdin", stdin_text(), None
    return script, file_text(script, missing="Script file not found"), os.path.abspath(script)


def _hint_of_a_model(script: str, arguments: list[str]) -> str | None:
    """For `run MODEL PROMPT`, as Ollama has it, where the word may be a model; scripts have an ending."""
    # Needed for a missing script only.
    from shlex import join

    from llmspell_cli.chat.prompt_words import likeness

    plain = likeness(script) == "unclear" and engine_of(script) is None
    return f"if it is a model: {join(['llmspell', 'chat', '-m', script, *arguments])}" if plain else None


def engine_of(path: str | None) -> str | None:
    """The engine that a file's name stands for; None leaves it to the kernel's configuration."""
    endings = {".lua": "lua", ".js": "javascript", ".mjs": "javascript", ".py": "python"}
    return endings.get(os.path.splitext(path or "")[1])
