"""A conversation at a terminal: prompt, messages and commands one after another, replies as they come."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import ExitStack

from llmspell_cli.chat.conversation import Conversation, stats_line
from llmspell_cli.chat.kernel_link import HINT, KernelLink
from llmspell_cli.chat.slash_commands import EXITS, QUOTES, SlashCommands
from llmspell_cli.endings import Interrupted
from llmspell_cli.errors import one_line
from llmspell_cli.session import Content
from llmspell_cli.terminal.history_file import HistoryFile
from llmspell_cli.terminal.interrupts import Interrupts
from llmspell_cli.terminal.output import DIM, Output, styled
from llmspell_cli.terminal.progress import ProgressView
from llmspell_cli.terminal.quiet import QuietTerminal
from llmspell_cli.terminal.reply_text import reply_text
from llmspell_cli.terminal.typed_line import Lines, TypedLines, can_edit, typed_line
from llmspell_protocol.cut_replies import cut_notice, with_way
from llmspell_protocol.errors import KernelUnreachable, LlmspellError

Turn = Callable[..., Content]
"""One turn of the conversation: what `Conversation.turn` and `retry` take behind their session and text."""


class ChatLoop:
    """Reads lines until the end; a turn's failure is shown and the conversation goes on."""

    def __init__(
        self,
        link: KernelLink,
        output: Output,
        conversation: Conversation,
        history: HistoryFile,
        *,
        stream: bool,
        stats: bool,
        markdown: bool,
        timeout_s: float | None,
    ) -> None:
        self._link = link
        self._output = output
        self._conversation = conversation
        self._history = history
        self._stream = stream
        self._stats = stats
        self._timeout_s = timeout_s
        self._commands = SlashCommands(
            link, output, conversation, history, markdown=markdown, retry=self._retry, confirm=self._confirm
        )
        self._interrupts = Interrupts()
        self._quiet = QuietTerminal()
        self._lines: Lines = TypedLines(self._interrupts, self._quiet, incomplete=_incomplete)

    def run(self) -> int:
        """Talks until /exit or the end of input."""
        with ExitStack() as stack:
            stack.enter_context(self._interrupts)
            stack.enter_context(self._quiet)
            self._link.interrupts = self._interrupts
            if can_edit():
                self._lines = self._editor()
            stack.callback(self._lines.close)
            self._talk()
        return 0

    def _editor(self) -> Lines:
        # The editor takes a tenth of a second to import; only a terminal needs it.
        from llmspell_cli.terminal.line_editor import LineEditor

        return LineEditor(
            self._interrupts,
            color=self._output.color,
            incomplete=_incomplete,
            inputs=self._earlier(),
            offer=self._commands.offer,
        )

    def _earlier(self) -> list[str]:
        try:
            return self._history.entries()
        except LlmspellError as error:
            self._output.warning(error.message)
            return []

    def _keep(self, text: str) -> None:
        try:
            self._history.add(text)
        except LlmspellError as error:
            self._output.warning(error.message)

    def _talk(self) -> None:
        while True:
            try:
                text = self._lines.read("> ").strip()
            except EOFError:
                self._output.line()
                return
            except KeyboardInterrupt:
                self._output.line("Ctrl+D or /exit to leave")
                continue
            if text:
                self._keep(text)
            word, _, rest = text.partition(" ")
            if word in EXITS:
                return
            try:
                self._take(text, word, rest.strip())
            except LlmspellError as error:
                self._show_error(error)

    def _show_error(self, error: LlmspellError) -> None:
        if isinstance(error, KernelUnreachable):
            error = KernelUnreachable(error.message, hint=HINT, details=error.details)
        self._output.shown_note(one_line(with_way(error, "slash"), self._output.color))

    def _take(self, text: str, word: str, rest: str) -> None:
        """Obeys a command, or says what is none: what stood in quotes never is."""
        if word.startswith("/"):
            self._commands.obey(word, rest)
        elif message := _message(text):
            self._say(lambda **settings: self._conversation.turn(self._link.session, message, **settings))

    def _retry(self) -> None:
        self._say(lambda **settings: self._conversation.retry(self._link.session, **settings))

    def _confirm(self, question: str) -> bool:
        asked = f"{question} [y/N]: "
        answer = self._lines.typed_ahead()
        if answer is not None:
            self._output.write(f"{asked}{answer}\n")
        else:
            try:
                with self._quiet.echoing():
                    answer = typed_line(self._interrupts, asked)
            except (EOFError, KeyboardInterrupt):
                self._output.line()
                answer = ""
        return answer.strip().lower() in ("y", "yes")

    def _say(self, turn: Turn) -> None:
        shown = reply_text(self._output, markdown=self._commands.markdown)
        with ProgressView(self._output, "chat", self._conversation.model) as view:

            def show(content: Content) -> None:
                view.clear()
                shown.feed(content.get("text", ""))

            try:
                reply = turn(stream=self._stream, timeout_s=self._timeout_s, on_delta=show, on_progress=view.show)
            except BaseException as error:
                view.clear()
                shown.finish()
                if isinstance(error, Interrupted):
                    gap = " " * shown.in_line
                    self._output.shown_line(styled(f"{gap}[cancelled]", DIM, sys.stdout, self._output.color))
                    return
                if shown.in_line:
                    self._output.line()
                raise
        text = reply["message"]["content"]
        if not self._stream:
            shown.feed(text)
        shown.finish()
        if shown.in_line:
            self._output.line()
        elif not text:
            self._output.shown_line(styled("[the reply is empty]", DIM, sys.stdout, self._output.color))
        if (cut := cut_notice(reply, "slash")) is not None:
            self._output.shown_line(styled(cut, DIM, sys.stdout, self._output.color))
        if self._stats:
            self._output.line(stats_line(reply))


def _incomplete(text: str) -> bool:
    """Whether a message of several lines goes on."""
    start = text.lstrip()
    return start.startswith(QUOTES) and not (start.endswith(QUOTES) and len(start) >= 2 * len(QUOTES))


def _message(text: str) -> str:
    """The message in an input, without the quotes around it."""
    if not text.startswith(QUOTES):
        return text
    return text.removeprefix(QUOTES).removesuffix(QUOTES).strip("\n")
