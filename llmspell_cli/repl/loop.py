"""The repl itself: inputs one after another, each run or obeyed, and what comes of it shown.

At a terminal with prompts and an editor; from a file or pipe line by line; in JSON mode one event an input. A failed
input never ends the session, a kernel that is gone does.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from llmspell_cli.displays import Displays
from llmspell_cli.endings import Interrupted
from llmspell_cli.errors import error_object, one_line
from llmspell_cli.repl.dot_commands import CLEAR, DotCommands, Journal, Leave, UnknownCommand, is_command, plain_word
from llmspell_cli.repl.script_context import ScriptContext
from llmspell_cli.session import Content, Session
from llmspell_cli.terminal.history_file import HistoryFile
from llmspell_cli.terminal.interrupts import Interrupts
from llmspell_cli.terminal.output import Output, to_stderr
from llmspell_cli.terminal.text import short_time
from llmspell_cli.terminal.typed_line import Lines, TypedLines, can_edit, typed_line
from llmspell_cli.terminal.visible import visible_lines
from llmspell_protocol.errors import KernelUnreachable, LlmspellError

if TYPE_CHECKING:
    from llmspell_cli.repl.debugging import ReplDebugging

BANNER = "LLMSpell REPL - {engine} engine"
HELP_LINE = "Type .help for commands, .exit or Ctrl+D to quit"


class _Outcome(NamedTuple):
    """How an input ended. `text` is a command's, `reply` that of code that ran."""

    duration_ms: int
    text: str = ""
    reply: Content | None = None
    error: LlmspellError | None = None


class Repl:
    """One session. `history` keeps the inputs typed at a terminal."""

    def __init__(
        self,
        session: Session,
        output: Output,
        *,
        engine: str | None,
        history: HistoryFile,
        allow: Mapping[str, Sequence[str]] = MappingProxyType({}),
    ) -> None:
        self._session = session
        self._output = output
        self._history = history
        self._journal = Journal()
        self._printed = _Printed(output)
        self._interrupts: Interrupts | None = None
        self._lines: Lines | None = None
        self._allow = allow
        self._context = ScriptContext(session, engine=engine, on_input=self._answer, allow=allow)
        self._commands = DotCommands(
            self._context,
            self._journal,
            history,
            mode=session.mode,
            on_output=self._take_delta,
            debug=lambda line: self._debugging.obey(line),
        )
        self._status = 0
        if engine is not None:
            self._context.check_engine()

    def run_terminal(self, connected_to: str | None) -> int:
        """Talks to the user until the end; returns the exit status. `connected_to` names a kernel in the banner."""
        with Interrupts() as interrupts:
            self._interrupts = self._session.interrupts = interrupts
            lines = self._lines = self._open_lines(interrupts)
            output = self._output
            output.line(BANNER.format(engine=self._context.engine))
            if connected_to is not None:
                output.line(f"Connected to {connected_to}")
            output.line(HELP_LINE)
            output.write("\n")
            try:
                self._converse(lines)
            finally:
                lines.close()
        return self._status

    def run_lines(self) -> int:
        """Runs what stdin holds, input by input; returns the exit status, 1 if the last one failed."""
        failed = False
        for text in self._inputs():
            try:
                outcome = self._take(text)
            except Leave:
                break
            if isinstance(outcome.error, Interrupted):
                raise outcome.error
            self._show(outcome)
            failed = outcome.error is not None
        return self._status or int(failed)

    def _converse(self, lines: Lines) -> None:
        while True:
            try:
                text = lines.read("> ")
            except EOFError:
                self._output.line()
                return
            except KeyboardInterrupt:
                continue
            if not text.strip():
                continue
            try:
                self._keep(text)
                self._show(self._take(text))
            except Leave:
                return

    def _open_lines(self, interrupts: Interrupts) -> Lines:
        if not can_edit():
            return TypedLines(interrupts, incomplete=self._incomplete)
        # The editor takes a tenth of a second to import; only a terminal needs it.
        from llmspell_cli.repl.candidates import candidates
        from llmspell_cli.repl.editing import STYLE, InputColors
        from llmspell_cli.terminal.line_editor import LineEditor

        return LineEditor(
            interrupts,
            color=self._output.color,
            incomplete=self._incomplete,
            inputs=self._history.entries(),
            offer=lambda text, cursor: candidates(self._context, self._commands.names, text, cursor),
            lexer=InputColors() if self._output.color else None,
            style=STYLE,
        )

    def _inputs(self) -> Iterator[str]:
        """The inputs in stdin: lines, joined where code goes on."""
        pending = ""
        while line := sys.stdin.readline():
            text = pending + line.removesuffix("\n")
            # A file has empty lines in the middle of a function; no prompt waits for the end of an input.
            if self._goes_on(text):
                pending = text + "\n"
                continue
            pending = ""
            if text.strip():
                yield text
        if pending.strip():
            yield pending

    def _incomplete(self, text: str) -> bool:
        """Whether an input at a terminal goes on; an empty line says that it doesn't."""
        before, newline, last = text.rpartition("\n")
        if newline and not last.strip() and before.strip():
            return False
        return self._goes_on(text)

    def _goes_on(self, text: str) -> bool:
        return bool(text.strip()) and not is_command(text) and self._context.is_incomplete(text)

    def _keep(self, text: str) -> None:
        try:
            self._history.add(text.strip("\n"))
        except LlmspellError as error:
            self._output.warning(error.message)

    def _take(self, text: str) -> _Outcome:
        self._printed.begin()
        started = time.monotonic()
        obeyed, reply, error = "", None, None
        try:
            if self._is_obeyed(text):
                obeyed, reply = self._commands.obey(text)
            else:
                self._journal.inputs.append(text.strip("\n"))
                self._journal.executions += 1
                reply = self._context.run(text, self._take_delta)
        except KernelUnreachable:
            self._printed.end()
            raise
        except LlmspellError as failure:
            error = failure
        if reply is not None and reply.get("exit_code") is not None:
            self._status = int(reply["exit_code"])
            self._printed.end()
            raise Leave
        return _Outcome(round((time.monotonic() - started) * 1000), obeyed, reply, error)

    def _is_obeyed(self, text: str) -> bool:
        word = plain_word(text)
        return is_command(text) if word is None else not self._context.has(word)

    def _show(self, outcome: _Outcome) -> None:
        if self._output.json:
            self._output.event(self._event(outcome))
            return
        self._printed.end()
        error = outcome.error
        if outcome.text:
            # Clearing the screen leaves the cursor where the prompt belongs.
            clears = outcome.text == CLEAR
            self._output.write(outcome.text if clears else visible_lines(outcome.text) + "\n")
        if outcome.reply is not None and outcome.reply.get("result_repr") is not None:
            self._output.write(f"{outcome.reply['result_repr']}\n")
        if isinstance(error, Interrupted):
            self._output.note(_how_interrupted(error))
        elif isinstance(error, UnknownCommand):
            self._output.note(error.message)
        elif error is not None:
            self._output.shown_note(one_line(error, self._output.color))
        if self._journal.timed:
            self._output.write(f"({short_time(outcome.duration_ms)})\n")

    def _event(self, outcome: _Outcome) -> Content:
        reply, error = outcome.reply or {}, outcome.error
        number = reply.get("execution_count")
        if error is not None:
            number = error.details.pop("execution_count", None)
        value = reply.get("result")
        return {
            "event": "result",
            "execution_count": number,
            "status": "success" if error is None else "error",
            "output": self._printed.text + (outcome.text + "\n" if outcome.text else ""),
            **({"displays": self._printed.displays} if self._printed.displays else {}),
            # What has no form as data is shown as a person reads it.
            "result": value if value is not None else reply.get("result_repr"),
            "error": error_object(error) if error is not None else None,
            "duration_ms": outcome.duration_ms,
        }

    @cached_property
    def _debugging(self) -> ReplDebugging:
        # Few sessions debug.
        from llmspell_cli.repl.debugging import ReplDebugging

        printed = self._printed
        return ReplDebugging(self._session, self._output, self._debugger_line, printed.end, printed.take, self._allow)

    def _take_delta(self, content: Content) -> None:
        told = content.get("debug")
        if told is not None:
            self._debugging.take(told)
        else:
            self._printed.take(content)

    def _debugger_line(self) -> str | None:
        """A command for the debugger at its prompt, or the next line of stdin; None at the end."""
        if self._lines is None:
            line = sys.stdin.readline()
            return line.removesuffix("\n") if line else None
        while True:
            try:
                return self._lines.read("(debug) > ")
            except EOFError:
                return "quit"
            except KeyboardInterrupt:
                continue

    def _answer(self, prompt: str, password: bool) -> str | None:
        """A line for a script that reads: typed here, or the next one of stdin."""
        ahead = self._lines.typed_ahead() if self._lines is not None else None
        if ahead is not None:
            self._output.write(f"{prompt}{'' if password else ahead}\n")
            self._printed.line_ended()
            return ahead
        if self._interrupts is not None:
            answer = typed_line(self._interrupts, prompt, hidden=password)
            self._printed.line_ended()
            return answer
        line = sys.stdin.readline()
        return line.removesuffix("\n") if line else None


def _how_interrupted(error: Interrupted) -> str:
    if error.answer is None:
        return "Interrupted; the kernel has not confirmed it"
    # What the kernel adds when the script had to be ended by force.
    more = error.answer.message.partition("; ")[2]
    return f"Interrupted; {more}" if more else "Interrupted"


class _Printed:
    """What scripts print: on our own stdout and stderr at once, or kept for the event."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._pieces: list[str] = []
        self._displays = Displays()
        self._open = False

    @property
    def displays(self) -> list[dict[str, Any]]:
        """What scripts have shown since `begin`."""
        return self._displays.documents

    @property
    def text(self) -> str:
        """All that went to the script's stdout since `begin`."""
        return "".join(self._pieces)

    def begin(self) -> None:
        """A new input."""
        self._pieces.clear()
        self._displays.begin()
        self._open = False

    def take(self, content: Content) -> None:
        """One `execute_delta {stream, text}`."""
        name, text = content.get("stream", "stdout"), str(content.get("text", ""))
        if self._output.json:
            self._displays.keep(content)
            if name == "stdout":
                self._pieces.append(text)
            elif text:
                self._output.log(text.rstrip("\n"))
            return
        if shown := self._displays.text(content):
            (to_stderr if name == "stderr" else self._output.write)(shown)
            self._open = not shown.endswith("\n")

    def line_ended(self) -> None:
        """Notes that the line begun has been ended from outside: by the Enter behind an answer."""
        self._open = False

    def end(self) -> None:
        """Ends a line begun, so that what is shown next begins a line."""
        if self._open:
            self._output.write("\n")
            self._open = False
