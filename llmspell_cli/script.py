"""Running a script at the kernel: the request, output as it comes, the result. Shared by `run` and `exec`."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from llmspell_cli.invocation import Options, working_directory
from llmspell_cli.permissions import environment
from llmspell_cli.session import Content, Session, document
from llmspell_cli.terminal.interrupts import Interrupts
from llmspell_cli.terminal.output import Output, to_stderr
from llmspell_cli.terminal.text import short_time
from llmspell_cli.terminal.typed_line import typed_line
from llmspell_protocol.engines import DEFAULT_ENGINE
from llmspell_protocol.errors import InvalidRequest, LlmspellError
from llmspell_protocol.request_options import RequestOptions

if TYPE_CHECKING:
    from llmspell_cli.displays import Displays


class Script(NamedTuple):
    """What is to be run. `engine` None: the kernel's default; `shown` are the document's fields about the source."""

    name: str
    code: str
    engine: str | None
    shown: dict[str, Any]
    path: str | None = None
    arguments: Sequence[str] = ()
    show_result: bool = False
    allow: Mapping[str, Sequence[str]] = MappingProxyType({})
    session: str | None = None
    """Where it is recorded."""


def _engine(_ctx: click.Context, _param: click.Parameter, value: str | None) -> str | None:
    engine = value or os.environ.get("LLMSPELL_ENGINE") or None
    return "javascript" if engine == "js" else engine


def engine_option(function: Any) -> Any:
    """`--engine NAME`."""
    return click.option("--engine", metavar="ENGINE", callback=_engine, help=f"{DEFAULT_ENGINE}, so far the only one.")(
        function
    )


def session_option(function: Any) -> Any:
    """`--session NAME`."""
    return click.option("--session", "recorded_in", metavar="SESSION", help="Record it in this session.")(function)


def _replaced(_ctx: click.Context, _param: click.Parameter, value: str | None) -> None:
    if value is not None:
        raise InvalidRequest("--rag-profile was replaced by --profile", hint="llmspell -p rag-prod run script.lua")


def rag_profile_option(function: Any) -> Any:
    """The original's `--rag-profile`, answered with what replaced it."""
    return click.option("--rag-profile", hidden=True, expose_value=False, callback=_replaced)(function)


def execute(script: Script, *, options: Options, output: Output, stream: bool, timeout_s: float | None) -> int:
    """Runs the script and shows what it says; returns the exit status."""
    # The kernel's code is most of what a short script waits for.
    from llmspell_cli.connect import session

    with session(options, output, runs_script=True) as opened:
        printed = _Printed(output, stream=stream)
        try:
            reply = opened.ask(
                "execute_request",
                {
                    "code": script.code,
                    "silent": False,
                    "store_history": False,
                    "allow_stdin": True,
                },
                on_delta=printed.take,
                on_input=None if output.json else answer_question,
                request_options=request_options(script),
                timeout_s=timeout_s,
            )
        except LlmspellError as error:
            if printed.text and "output" not in error.details:
                error.details["output"] = printed.text
            raise
        _show(script, opened, output, printed, document(reply), stream=stream)
        return int(reply.content.get("exit_code") or 0)


class _Printed:
    """What the script prints: on our own stdout and stderr at once, or kept for the document."""

    def __init__(self, output: Output, *, stream: bool) -> None:
        self._output = output
        self._stream = stream
        self._pieces: list[str] = []
        self._displays: Displays | None = None

    @property
    def displays(self) -> list[dict[str, Any]]:
        """What the script has shown, for the document."""
        return [] if self._displays is None else self._displays.documents

    @property
    def text(self) -> str:
        """All that went to the script's stdout."""
        return "".join(self._pieces)

    def take(self, content: Content) -> None:
        """One `execute_delta {stream, text}`."""
        name, text = content.get("stream", "stdout"), content.get("text", "")
        if name == "stdout":
            self._pieces.append(text)
        if self._output.json:
            if "display" in content:
                self._shown().keep(content)
            if self._stream:
                shown = {"display": content["display"]} if "display" in content else {}
                self._output.event({"event": "output", "stream": name, "text": text, **shown})
            elif name == "stderr" and text:
                self._output.log(text.rstrip("\n"))
        else:
            is_shown = self._displays is not None or "display" in content
            if words := self._shown().text(content) if is_shown else text:
                (to_stderr if name == "stderr" else self._output.write)(words)

    def _shown(self) -> Displays:
        if self._displays is None:
            # Few scripts show more than text.
            from llmspell_cli.displays import Displays

            self._displays = Displays()
        return self._displays


def request_options(script: Script) -> RequestOptions:
    """What a run of the script asks for."""
    return RequestOptions(
        isolated=True,
        shows_value=script.show_result,
        args=script.arguments,
        engine=script.engine,
        name=script.name,
        path=script.path,
        cwd=working_directory(),
        env=environment(script.allow),
        allow=dict(script.allow) or None,
        interactive=sys.stdin.isatty() and sys.stdout.isatty(),
        session=script.session,
    )


def answer_question(prompt: str, password: bool) -> str | None:
    """A line of this command's own input for the script; None at its end."""
    if sys.stdin.isatty():
        with Interrupts() as interrupts:
            return typed_line(interrupts, prompt, hidden=password)
    if prompt:
        sys.stdout.write(prompt)
        sys.stdout.flush()
    line = sys.stdin.readline()
    return line.removesuffix("\n") if line else None


def _show(script: Script, opened: Session, output: Output, printed: _Printed, reply: Content, *, stream: bool) -> None:
    result = reply.get("result")
    if output.json:
        result_document = {
            "status": "success",
            **opened.origin,
            "engine": reply.get("engine", script.engine),
            **script.shown,
            "streaming": stream,
            "output": printed.text,
            **({"displays": printed.displays} if printed.displays else {}),
            "result": result,
            "duration_ms": reply.get("duration_ms"),
            **{key: value for key, value in reply.items() if key not in _NOT_SHOWN},
        }
        if stream:
            output.last_event({"event": "result", **result_document})
        else:
            output.document(result_document)
        return
    if printed.text and not printed.text.endswith("\n") and (output.terminal or script.show_result):
        output.line()
    if script.show_result and (shown := reply.get("result_repr")) is not None:
        # A text alone is what it says, as a program takes it; several values are shown as a cell shows them.
        is_text = isinstance(result, str) and reply.get("values", 1) == 1
        output.write(f"{result if is_text else shown}\n")
    if output.pretty:
        engine = reply.get("engine", script.engine) or DEFAULT_ENGINE
        output.line(f"✓ {script.name}  {engine}  {short_time(reply.get('duration_ms'))}")


# What is shown under another name, or is only Jupyter's; a piece of code on the command line has no script's name.
_NOT_SHOWN = (
    "status",
    "execution_count",
    "user_expressions",
    "payload",
    "result",
    "duration_ms",
    "engine",
    "output",
    "result_repr",
    "values",
    "result_problem",
    "script",
    "script_length",
    "args_count",
)
