"""A conversation at a terminal: prompt, commands that begin with a slash, replies as they come."""

from __future__ import annotations

import sys
from collections.abc import Callable

from llmspell_cli.chat.conversation import SAMPLING, Conversation, stats_line
from llmspell_cli.endings import Interrupted
from llmspell_cli.errors import one_line
from llmspell_cli.session import Content, Session
from llmspell_cli.terminal.interrupts import Interrupts
from llmspell_cli.terminal.output import DIM, Output, styled
from llmspell_cli.terminal.progress import ProgressView
from llmspell_cli.terminal.typed_line import Lines, TypedLines, can_edit
from llmspell_protocol.errors import InvalidRequest, KernelUnreachable, LlmspellError

HELP = """\
/help                this list
/exit, /bye          leave (Ctrl+D too)
/clear               forget the conversation
/retry               answer the last message again
/undo                take the last exchange back
/system TEXT         set the system prompt; without TEXT: remove it
/model MODEL         go on with another model
/set NAME VALUE      set an option: {options}; without VALUE: unset it
/show                model, system prompt, options, length
/save FILE           write the conversation
/load FILE           read a conversation
/stats               numbers of the last reply
\"\"\"                  starts and ends a message of several lines, or one that begins with /"""

_QUOTES = '"""'
_SHOWN_MESSAGE = 60
"""Characters of a message that a hint repeats."""


class ChatLoop:
    """Reads lines until the end; a turn's failure is shown and the conversation goes on."""

    def __init__(
        self,
        opened: Session,
        output: Output,
        conversation: Conversation,
        *,
        stream: bool,
        stats: bool,
        timeout_s: float | None,
    ) -> None:
        self._session = opened
        self._output = output
        self._conversation = conversation
        self._stream = stream
        self._stats = stats
        self._timeout_s = timeout_s
        self._begun = False
        """Whether some of the reply stands on the screen."""
        self._commands: dict[str, Callable[[str], None]] = {
            "/help": self._help,
            "/clear": self._clear,
            "/retry": self._retry,
            "/undo": self._undo,
            "/system": self._system,
            "/model": self._model,
            "/set": self._set,
            "/show": self._show,
            "/save": self._save,
            "/load": self._load,
            "/stats": self._show_stats,
        }

    def run(self) -> int:
        """Talks until /exit or the end of input."""
        with Interrupts() as interrupts:
            self._session.interrupts = interrupts
            lines = self._lines(interrupts)
            try:
                self._talk(lines)
            finally:
                lines.close()
        return 0

    def _lines(self, interrupts: Interrupts) -> Lines:
        if not can_edit():
            return TypedLines(interrupts, incomplete=_incomplete)
        # The editor takes a tenth of a second to import; only a terminal needs it.
        from llmspell_cli.terminal.line_editor import LineEditor, word_completer

        words = word_completer([*self._commands, "/exit", "/bye"])
        return LineEditor(interrupts, color=self._output.color, incomplete=_incomplete, completer=words)

    def _talk(self, lines: Lines) -> None:
        while True:
            try:
                text = lines.read("> ").strip()
            except EOFError:
                self._output.line()
                return
            except KeyboardInterrupt:
                self._output.line("Ctrl+D or /exit to leave")
                continue
            word = text.partition(" ")[0]
            if word in ("/exit", "/bye"):
                return
            try:
                self._take(word, text)
            except KernelUnreachable:
                raise
            except LlmspellError as error:
                self._output.shown_note(one_line(error, self._output.color))

    def _take(self, word: str, text: str) -> None:
        """Obeys a command, or says what is none: what stood in quotes never is."""
        if not word.startswith("/"):
            if message := _message(text):
                self._say(message)
            return
        command = self._commands.get(word)
        if command is None:
            said = text if len(text) <= _SHOWN_MESSAGE and "\n" not in text else "…"
            raise InvalidRequest(f"unknown command {word}", hint=f"/help; to say it: {_QUOTES}{said}{_QUOTES}")
        command(text.removeprefix(word).strip())

    def _say(self, text: str) -> None:
        self._begun = False
        with ProgressView(self._output, "chat", self._conversation.model) as view:
            try:
                reply = self._conversation.turn(
                    self._session,
                    text,
                    stream=self._stream,
                    timeout_s=self._timeout_s,
                    on_delta=lambda content: self._print(view, content),
                    on_progress=view.show,
                )
            except Interrupted:
                view.clear()
                gap = " " * self._begun
                self._output.shown_line(styled(f"{gap}[cancelled]", DIM, sys.stdout, self._output.color))
                return
        if not self._stream:
            self._output.as_it_is(reply["message"]["content"])
        self._output.line()
        if self._stats:
            self._show_stats("")

    def _print(self, view: ProgressView, content: Content) -> None:
        view.clear()
        self._begun = True
        self._output.as_it_is(content.get("text", ""))

    def _help(self, _rest: str) -> None:
        self._output.lines(HELP.format(options=", ".join(SAMPLING)))

    def _clear(self, _rest: str) -> None:
        self._conversation.messages.clear()
        self._output.line("Conversation forgotten")

    def _retry(self, _rest: str) -> None:
        question = self._conversation.undo()
        if question is None:
            raise InvalidRequest("there is no message to answer again")
        self._say(question)

    def _undo(self, _rest: str) -> None:
        question = self._conversation.undo()
        self._output.lines(f"Taken back: {question}" if question is not None else "There is nothing to take back")

    def _system(self, rest: str) -> None:
        self._conversation.system = rest or None
        self._output.line("System prompt set" if rest else "System prompt removed")

    def _model(self, rest: str) -> None:
        if not rest:
            raise InvalidRequest("name a model", hint="/model smollm2:135m")
        info = self._session.model("info", model=rest)
        self._conversation.model = f"{info['id']}@{info['backend']}"
        self._output.line(f"Chatting with {self._conversation.model}")

    def _set(self, rest: str) -> None:
        name, _, value = (part.strip() for part in rest.partition(" "))
        self._conversation.set(name, value)
        self._output.line(f"{name} = {value}" if value else f"{name} is not set")

    def _show(self, _rest: str) -> None:
        conversation = self._conversation
        self._output.line(f"model: {conversation.model}")
        self._output.line(f"system: {conversation.system or '-'}")
        options = ", ".join(f"{name} = {value}" for name, value in conversation.sampling.items())
        self._output.line(f"options: {options or '-'}")
        self._output.line(f"messages: {len(conversation.messages)}")

    def _save(self, rest: str) -> None:
        if not rest:
            raise InvalidRequest("name a file", hint="/save chat.json")
        self._conversation.save(rest)
        self._output.line(f"Conversation saved to {rest}")

    def _load(self, rest: str) -> None:
        if not rest:
            raise InvalidRequest("name a file", hint="/load chat.json")
        self._conversation.load(rest)
        self._output.line(f"Conversation loaded from {rest} ({len(self._conversation.messages)} messages)")

    def _show_stats(self, _rest: str) -> None:
        last = self._conversation.last
        self._output.line(f"{stats_line(last)}, {self._session.place}" if last is not None else "There is no reply yet")


def _incomplete(text: str) -> bool:
    """Whether a message of several lines goes on."""
    start = text.lstrip()
    return start.startswith(_QUOTES) and not (start.endswith(_QUOTES) and len(start) >= 2 * len(_QUOTES))


def _message(text: str) -> str:
    """The message in an input, without the quotes around it."""
    if not text.startswith(_QUOTES):
        return text
    return text.removeprefix(_QUOTES).removesuffix(_QUOTES).strip("\n")
