"""A conversation at a terminal: prompt, messages and commands one after another, replies as they come."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import ExitStack

from llmspell_cli.chat.conversation import Conversation, stats_line
from llmspell_cli.chat.kernel_link import HINT, KernelLink
from llmspell_cli.chat.reply_view import ReplyView, Shown
from llmspell_cli.chat.slash_commands import EXITS, OTHER_WORDS, QUOTES, SlashCommands
from llmspell_cli.chat.tool_use import limit_notice
from llmspell_cli.endings import Interrupted
from llmspell_cli.errors import one_line
from llmspell_cli.session import Content
from llmspell_cli.terminal.history_file import HistoryFile
from llmspell_cli.terminal.interrupts import Interrupts
from llmspell_cli.terminal.output import DIM, Output, styled
from llmspell_cli.terminal.progress import ProgressView
from llmspell_cli.terminal.quiet import QuietTerminal
from llmspell_cli.terminal.typed_line import Lines, TypedLines, can_edit, typed_line
from llmspell_protocol.cut_replies import cut_notice, with_way
from llmspell_protocol.errors import KernelUnreachable, LlmspellError, Unsupported

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
        shown: Shown,
    ) -> None:
        self._link = link
        self._output = output
        self._conversation = conversation
        self._history = history
        self._shown = shown
        self._commands = SlashCommands(
            link,
            output,
            conversation,
            history,
            markdown=shown.markdown,
            stats=shown.stats,
            retry=self._retry,
            confirm=self._confirm,
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
            if OTHER_WORDS.get(word, word) in EXITS:
                return
            try:
                self._take(text, word, rest.strip())
            except LlmspellError as error:
                self._show_error(error)

    def _show_error(self, error: LlmspellError) -> None:
        if isinstance(error, KernelUnreachable):
            error = KernelUnreachable(error.message, hint=HINT, details=error.details)
        if isinstance(error, Unsupported) and error.details.get("operation") == "think":
            # Else every message would fail from here on.
            self._conversation.think = None
        self._output.shown_note(one_line(with_way(error, "slash"), self._output.color))

    def _take(self, text: str, word: str, rest: str) -> None:
        """Obeys a command, or says what is none: what stood in quotes never is."""
        if word.startswith("/"):
            self._commands.obey(word, rest)
        elif message := _message(text):
            images = self._commands.images.copy()
            self._commands.images.clear()
            self._say(
                lambda **settings: self._conversation.turn(self._link.session, message, images=images, **settings)
            )

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

    def _answer(self, prompt: str, *, hidden: bool) -> str:
        """A line for a question about a call of a tool: typed now, never what was typed ahead as a message."""
        with self._quiet.echoing():
            return typed_line(self._interrupts, prompt, hidden=hidden)

    def _say(self, turn: Turn) -> None:
        shown = self._shown
        view = ReplyView(
            self._output, markdown=self._commands.markdown, thinking=shown.thinking, verbose=self._commands.verbose
        )
        with ProgressView(self._output, "chat", self._conversation.model) as progress:

            def show(content: Content) -> None:
                progress.clear()
                view.show(content)

            def answer(prompt: str, password: bool) -> str:
                progress.clear()
                view.finish()
                if view.in_line:
                    self._output.line()
                return self._answer(prompt, hidden=password)

            try:
                reply = turn(
                    stream=shown.stream,
                    timeout_s=shown.timeout_s,
                    on_delta=show,
                    on_progress=progress.show,
                    on_input=answer,
                )
            except BaseException as error:
                progress.clear()
                view.finish()
                if isinstance(error, Interrupted):
                    self._dim(" " * view.in_line + "[cancelled]")
                    return
                if view.in_line:
                    self._output.line()
                raise
        message = reply["message"]
        if not shown.stream:
            view.show({"reasoning": message.get("reasoning"), "text": message["content"]})
        view.finish()
        if view.in_line:
            self._output.line()
        elif not message["content"] and limit_notice(reply) is None:
            self._dim("[the reply is empty]")
        if (stopped := limit_notice(reply)) is not None:
            self._dim(stopped)
        if (cut := cut_notice(reply, "slash")) is not None:
            self._dim(cut)
        if self._commands.stats:
            self._output.line(f"{stats_line(reply)}, {self._link.session.place}")

    def _dim(self, text: str) -> None:
        self._output.shown_line(styled(text, DIM, sys.stdout, self._output.color))


def _incomplete(text: str) -> bool:
    """Whether a message of several lines goes on."""
    start = text.lstrip()
    return start.startswith(QUOTES) and not (start.endswith(QUOTES) and len(start) >= 2 * len(QUOTES))


def _message(text: str) -> str:
    """The message in an input, without the quotes around it."""
    if not text.startswith(QUOTES):
        return text
    return text.removeprefix(QUOTES).removesuffix(QUOTES).strip("\n")
