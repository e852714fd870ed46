"""One script debugged from its first line to its end: what the kernel tells, and what the user answers at each stop.

At a terminal with prompts, where Ctrl-C pauses the script, and so does a line; from a pipe line by line; in JSON mode
one event a line.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from llmspell_cli.debugger.commands import DebugCommands, Quit
from llmspell_cli.debugger.conversation import Conversation
from llmspell_cli.debugger.link import DebugLink
from llmspell_cli.debugger.piped import PipedCommands
from llmspell_cli.debugger.prompt import Prompt
from llmspell_cli.endings import Interrupted
from llmspell_cli.script import Script, answer_question, request_options
from llmspell_cli.session import Content, Session
from llmspell_cli.terminal.interrupts import Interrupts
from llmspell_cli.terminal.output import Output, to_stderr
from llmspell_protocol.client.events import Delta, Event
from llmspell_protocol.client.sync import Pending
from llmspell_protocol.errors import LlmspellError
from llmspell_protocol.messages import METADATA_KEY

_QUIT_WAIT_S = 5.0


class DebugRun:
    """A script's run at the session's kernel; `steps_in` stops at its first line."""

    def __init__(
        self, session: Session, output: Output, script: Script, commands: DebugCommands, *, steps_in: bool
    ) -> None:
        self._session = session
        self._output = output
        self._script = script
        self._commands = commands
        self._steps_in = steps_in
        self._interrupts: Interrupts | None = None
        self._source: Prompt | PipedCommands = PipedCommands()
        self._paused = False
        self._line_open = False

    def run(self) -> int:
        """Runs the script to its end; returns its exit status.

        Raises:
            LlmspellError: it failed.
        """
        with ExitStack() as stack:
            if sys.stdin.isatty() and not self._output.json:
                self._interrupts = stack.enter_context(Interrupts())
                names, color = self._commands.names, self._output.color
                self._source = Prompt(self._interrupts, names, self._remark, color=color)
            stack.callback(self._source.close)
            run = self._begin()
            try:
                self._follow(run, self._conversation(run))
                reply = run.result().content
            except Quit:
                return self._quit(run)
            except KeyboardInterrupt:
                self._quit(run)
                raise Interrupted("Cancelled") from None
            except LlmspellError as error:
                self._ended(error.exit_status)
                raise
        status = int(reply.get("exit_code") or 0)
        self._ended(status)
        return status

    def _begin(self) -> Pending:
        options = request_options(self._script)._replace(debug=True)
        content = {"code": self._script.code, "silent": False, "store_history": False, "allow_stdin": True}
        return self._session.client.request(
            "execute_request",
            content,
            metadata={METADATA_KEY: options.metadata()},
            on_input=None if self._output.json else self._answer,
        )

    def _answer(self, prompt: str, password: bool) -> str | None:
        """A line for a script that reads: the next one of a pipe, or one that was typed ahead, or is typed now."""
        if isinstance(self._source, PipedCommands):
            self._output.write(prompt)
            return self._source.read()
        self._line_open = False
        ahead = self._source.ahead()
        if ahead is None:
            return answer_question(prompt, password)
        self._output.write(f"{prompt}{'' if password else ahead}\n")
        return ahead

    def _conversation(self, run: Pending) -> Conversation:
        def show_what_came() -> None:
            while (event := run.take_arrived()) is not None:
                self._take(event, run, talk)

        talk = Conversation(
            self._commands,
            self._output,
            self._source.read,
            repeats=self._interrupts is not None,
            end_line=self._end_line,
            printed=self._print,
            arrived=show_what_came,
        )
        return talk

    def _follow(self, run: Pending, talk: Conversation) -> None:
        while (event := self._next(run, talk)) is not None:
            self._take(event, run, talk)

    def _next(self, run: Pending, talk: Conversation) -> Event | None:
        """The next event, None at the end; what is typed before it comes is obeyed."""
        while True:
            # Before the script has its place nothing can be asked for it.
            has_begun = self._commands.link is not None
            if has_begun:
                self._obey_meanwhile(talk)
            try:
                with self._cancellable():
                    event = run.take_arrived()
                    if event is not None or run.done:
                        return event
                    self._session.client.wait_beside(self._source.source if has_begun else None)
            except KeyboardInterrupt:
                if self._interrupts is None or self._paused:
                    raise
                # A second one, before the script has paused, ends it.
                self._paused = True
                self._ask_to_pause()

    def _obey_meanwhile(self, talk: Conversation) -> None:
        while (line := self._source.at_once()) is not None:
            if self._interrupts is not None:
                # Enter has ended the line.
                self._line_open = False
            talk.obey_meanwhile(line)

    def _remark(self, text: str) -> None:
        self._line_open = False
        self._output.note(text)

    @contextmanager
    def _cancellable(self) -> Iterator[None]:
        if self._interrupts is None:
            yield
            return
        with self._interrupts.cancellable():
            yield

    def _ask_to_pause(self) -> None:
        try:
            self._commands.obey("pause")
        except LlmspellError as error:
            self._output.note(error.message)

    def _take(self, event: Event, run: Pending, talk: Conversation) -> None:
        if not isinstance(event, Delta):
            return
        told = event.content.get("debug")
        if told is None:
            self._print(event.content)
        elif told["event"] == "process":
            self._attach(run, talk)
        else:
            self._paused = self._paused and told["event"] != "stopped"
            talk.take(told)

    def _attach(self, run: Pending, talk: Conversation) -> None:
        """The kernel has a place for the script: everything typed so far goes there, and the script begins."""
        link = DebugLink(self._session, run.msg_id, self._script.allow)
        link.start()
        self._commands.attached(link)
        if not self._output.json:
            for point in self._commands.points.all:
                talk.say(self._commands.said(point))
        if self._steps_in or not (self._commands.points.all or self._commands.stops_at_errors):
            link.ask("stopOnEntry")
        link.ask("configurationDone")

    def _print(self, content: Content) -> None:
        name, text = str(content.get("stream", "stdout")), str(content.get("text", ""))
        if self._output.json:
            self._output.event({"event": "output", "stream": name, "text": text})
        elif name == "stderr":
            to_stderr(text)
        else:
            self._output.write(text)
        self._line_open = not text.endswith("\n")

    def _end_line(self) -> None:
        if self._line_open:
            self._output.write("\n")
            self._line_open = False

    def _quit(self, run: Pending) -> int:
        run.cancel()
        try:
            run.result(timeout_s=_QUIT_WAIT_S)
        except LlmspellError:
            pass  # It was cancelled: that is what was wanted.
        self._ended(0)
        return 0

    def _ended(self, status: int) -> None:
        self._end_line()
        if self._output.json:
            self._output.last_event({"event": "terminated", "exit": status})
