"""`llmspell tool invoke`: one call of a tool, its parameters as JSON, its result as text or as a document."""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import click

from llmspell_cli.commands.tool.requests import ask_tools, source_option
from llmspell_cli.connect import session
from llmspell_cli.invocation import Options
from llmspell_cli.options import format_option, timeout_option
from llmspell_cli.permissions import NAMES, PermittingCommand, permission_options
from llmspell_cli.session import Content
from llmspell_cli.terminal.input_text import file_text, stdin_text
from llmspell_cli.terminal.output import Output
from llmspell_cli.terminal.progress import ProgressView
from llmspell_protocol.errors import InvalidRequest, ToolError

_QUOTED = """--params '{"name": "value"}': names and texts in double quotes, single ones around the whole"""


class InvokingCommand(PermittingCommand):
    """`tool invoke`, whose parameters a shell takes apart where they are not quoted."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parses the words.

        Raises:
            InvalidRequest: there are words too many; the hint says how they are written.
        """
        words = list(args)
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption:
            raise
        except click.UsageError as error:
            said = error.message.rstrip(".")
            if not said.startswith("Got unexpected extra argument"):
                raise
            pairs = itertools.pairwise(words)
            behind = (f"did you mean {name}={word}?" for name, word in pairs if name in NAMES and f"({word}" in said)
            raise InvalidRequest(f"{said[:1].lower()}{said[1:]}", hint=next(behind, _QUOTED)) from None


@click.command(
    "invoke",
    cls=InvokingCommand,
    examples=(
        ("""llmspell tool invoke NAME --params '{"input": "6*7"}'""", "as calculator takes it"),
        ("llmspell tool invoke calculator --params @sum.json", "from a file"),
        ("llmspell tool invoke calculator --params - --json", "from standard input; a document"),
        ("llmspell tool invoke NAME --allow-net=example.com", "with a permission"),
    ),
)
@click.option("--params", metavar="JSON", default="{}", help="Parameters: a JSON object, @FILE, or - for stdin.")
@click.option("--stream", is_flag=True, help="How far it is, as it goes on; JSON mode: one event a line.")
@timeout_option
@format_option("text", "json", "pretty")
@source_option
@permission_options
@click.argument("tool", metavar="NAME")
def invoke(
    options: Options,
    tool: str,
    params: str,
    stream: bool,
    timeout_s: float | None,
    allow: Mapping[str, Sequence[str]],
) -> None:
    """Call a tool and show what it gives.

    It reads below the working directory; anything else that it touches needs one of the --allow-… or a setting.
    """
    output = Output(options)
    parameters = _parameters(params)
    with session(options, output) as opened, Steps(output, tool, stream=stream) as steps:
        try:
            reply = ask_tools(
                opened,
                "invoke",
                tool=tool,
                parameters=parameters,
                allow=allow,
                timeout_s=timeout_s,
                on_progress=steps.show,
                on_input=steps.ask if _is_watched(output, params) else None,
            )
        except InvalidRequest as error:
            error.hint = error.hint or f"llmspell tool info {tool} shows the parameters"
            raise
    if not reply["success"]:
        raise _failure(reply)
    if output.json:
        _document(output, reply, stream=stream)
        return
    text = str(reply["text"])
    output.as_it_is(text if text.endswith("\n") else f"{text}\n")


def _is_watched(output: Output, params: str) -> bool:
    """Whether a person can be asked: standard input is a terminal, and not the parameters."""
    return sys.stdin.isatty() and sys.stdout.isatty() and not output.json and params != "-"


def _document(output: Output, reply: Content, *, stream: bool) -> None:
    shown = {**reply, "streaming": stream}
    if stream:
        output.last_event({"event": "result", **shown})
    else:
        output.document(shown)


def _failure(reply: Content) -> ToolError:
    """The operation's own no."""
    problem = reply["error"]
    details = {key: reply[key] for key in ("tool", "operation", "result", "metadata")}
    if problem["code"] != ToolError.code:
        details["reason"] = problem["code"]
    return ToolError(problem["message"], details=details)


class Steps:
    """How far a call is: a sign that moves at a terminal, a line each with `--stream`, events in JSON mode."""

    def __init__(self, output: Output, tool: str, *, stream: bool) -> None:
        self._output = output
        self._tool = tool
        self._stream = stream
        self._view = ProgressView(output, "tool invoke", tool)

    def __enter__(self) -> Steps:
        return self

    def __exit__(self, *_: object) -> None:
        self._view.clear()

    def ask(self, prompt: str, hidden: bool) -> str | None:
        """A line for a question of the kernel's."""
        # Few calls lack a permission.
        from llmspell_cli.terminal.interrupts import Interrupts
        from llmspell_cli.terminal.typed_line import typed_line

        self._view.clear()
        with Interrupts() as interrupts:
            return typed_line(interrupts, prompt, hidden=hidden)

    def show(self, content: Content) -> None:
        """Takes one `{message, figures}`."""
        message, figures = str(content["message"]), content["figures"]
        if self._output.json:
            event = {"event": "progress", "command": "tool invoke", "tool": self._tool}
            say = self._output.event if self._stream else self._output.side_event
            say({**event, "message": message, "figures": figures})
        elif sys.stderr.isatty():
            self._view.show({"phase": message, "percent_complete": figures.get("percent_complete")})
        elif self._stream:
            self._output.note(message)


def _parameters(given: str) -> dict[str, Any]:
    """The parameters of a call.

    Raises:
        InvalidRequest: they are no JSON object.
        NotFound: there is no such file.
    """
    if given == "-":
        text, where = stdin_text(), " on standard input"
    elif given.startswith("@"):
        text, where = file_text(given[1:]), f" in {given[1:]}"
    else:
        text, where = given, ""
    try:
        value = json.loads(text, parse_constant=_refuse)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno} column {error.colno}"
        raise InvalidRequest(f"Invalid JSON{where}: {place}: {_said(error.msg)}", hint=_hint(text, where)) from None
    except ValueError as error:
        raise InvalidRequest(f"Invalid JSON{where}: {error}") from None
    except RecursionError:
        raise InvalidRequest(f"Invalid JSON{where}: nested too deeply") from None
    if not isinstance(value, dict):
        raise InvalidRequest(f"the parameters{where} are no JSON object", hint=_QUOTED)
    return value


def _hint(text: str, where: str) -> str | None:
    """For what is a file and was meant to be read, and for what a shell or Python would write."""
    # Needed for a line that failed only.
    from llmspell_cli.terminal.input_text import files_among

    if where:
        return None
    return f"--params @{text} reads the file" if files_among([text]) else _QUOTED


_SAID = {
    "Expecting property name enclosed in double quotes": "expected a string in double quotes",
    "Illegal trailing comma before end of object": "expected a string in double quotes",
    "Expecting value": "expected a value",
    "Extra data": "there is more behind the value",
}


def _said(message: str) -> str:
    """Python's words in ours."""
    return _SAID.get(message) or message.replace("Expecting", "expected").removesuffix(" delimiter")


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON value")
