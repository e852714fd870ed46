"""The debugger within the repl: commands with `db:` before them, and the prompt of inputs that a breakpoint stops."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from llmspell_cli.debugger.commands import DebugCommands, GoesOn, Quit
from llmspell_cli.debugger.conversation import Conversation
from llmspell_cli.debugger.link import DebugLink
from llmspell_cli.debugger.points import Places
from llmspell_cli.session import Content, Session
from llmspell_cli.terminal.output import Output


class ReplDebugging:
    """The debugger of the repl's context; begins with the first command for it. `read`, `end_line` and `printed` as in
    `Conversation`."""

    def __init__(
        self,
        session: Session,
        output: Output,
        read: Callable[[], str | None],
        end_line: Callable[[], None],
        printed: Callable[[Content], None],
        allow: Mapping[str, Sequence[str]],
    ) -> None:
        self._session = session
        self._allow = allow
        self._commands = DebugCommands(Places())
        self._talk = Conversation(
            self._commands,
            output,
            read,
            repeats=False,
            end_line=end_line,
            printed=printed,
            arrived=session.deliver_arrived,
        )

    def obey(self, line: str) -> str:
        """Does a command while nothing is paused; the text to show.

        Raises:
            LlmspellError: it failed.
        """
        if self._commands.link is None:
            link = DebugLink(self._session, allow=self._allow, told=self._talk.take)
            link.start()
            self._commands.attached(link)
        try:
            return self._commands.obey(line)
        except (GoesOn, Quit):
            return ""

    def take(self, told: Content) -> None:
        """Takes an event of what the repl runs.

        Raises:
            KeyboardInterrupt: the user ends what is paused.
        """
        try:
            self._talk.take(told)
        except Quit:
            raise KeyboardInterrupt from None
