"""What is said while a script stands: the stop, then commands and their answers until the script goes on.

Shared by `debug` and the repl; knows the output's formats, not where lines come from.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

from llmspell_cli.debugger.commands import DebugCommands, GoesOn, Quit
from llmspell_cli.debugger.stops import Stop
from llmspell_cli.errors import error_object, one_line
from llmspell_cli.session import Content
from llmspell_cli.terminal.output import Output
from llmspell_protocol.errors import LlmspellError


class Conversation:
    """Reads commands by `read` (None: no more of them). An empty line says the last one again where `repeats`.

    `end_line` ends a line that the script has begun; `printed` shows what an evaluation prints where no script runs, by
    `stream` and `text`; `arrived` shows what a command has made the script print.
    """

    def __init__(
        self,
        commands: DebugCommands,
        output: Output,
        read: Callable[[], str | None],
        *,
        repeats: bool,
        end_line: Callable[[], None],
        printed: Callable[[Content], None],
        arrived: Callable[[], None],
    ) -> None:
        self._commands = commands
        self._output = output
        self._read = read
        self._repeats = repeats
        self._end_line = end_line
        self._printed = printed
        self._arrived = arrived
        self._last = ""

    def take(self, told: Content) -> None:
        """Takes an event of the debugger's; one of a stop is over when the script goes on.

        Raises:
            Quit: the user ends the script.
        """
        event, body = told["event"], told["body"]
        if event == "stopped":
            self._stopped(body)
        elif event == "continued":
            self._commands.ran_on()
        elif event == "output":
            self._printed({"stream": body["category"], "text": body["output"]})
        elif event == "breakpoint":
            text = self._commands.moved(body["breakpoint"])
            if text is not None:
                self.say(text)

    def say(self, text: str) -> None:
        """A remark in its place among what the script prints."""
        self._end_line()
        if self._output.json:
            self._output.event({"event": "note", "text": text})
        else:
            self._output.lines(text)
            sys.stdout.flush()

    def _stopped(self, body: Content) -> None:
        stop = Stop(self._commands, body)
        if self._output.json:
            self._output.event(stop.to_event())
        else:
            self.say(stop.text)
        while True:
            line = self._read()
            if line is None:
                if self._repeats:
                    raise Quit
                # The commands have ended: the script goes on without them.
                self._commands.detach()
                return
            line = line.strip() or (self._last if self._repeats else "")
            if line and not line.startswith("#"):
                self._last = line
                if self._obey(line, self._arrived):
                    return

    def obey_meanwhile(self, line: str) -> None:
        """Obeys a command while the script runs; a stop that comes of it is told as every other.

        Raises:
            Quit: the user ends the script.
        """
        self._obey(line, arrived=lambda: None)

    def _obey(self, line: str, arrived: Callable[[], None]) -> bool:
        """Whether the script goes on."""
        text, error, goes_on = "", None, False
        try:
            text = self._commands.obey(line)
        except GoesOn:
            goes_on = True
        except LlmspellError as failure:
            error = failure
        if not goes_on:
            # Of a script that goes on everything is still to come.
            arrived()
        if self._output.json:
            answer = {"event": "answer", "command": line, "text": text, "error": error_object(error) if error else None}
            self._output.event(answer)
        elif error is not None:
            self._end_line()
            self._output.shown_note(one_line(error, self._output.color))
        elif text:
            self.say(text)
        return goes_on
