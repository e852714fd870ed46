"""The line editor of interactive commands: history, inputs of several lines, completion, colours.

The only file that imports prompt_toolkit for its work; import it where a terminal is there to edit on. Knows no
command and no kernel.

While a line is edited Ctrl-C is a key. Everywhere else the terminal makes a signal of it, and between the two nothing
is lost: leaving, the terminal makes signals again before what was typed meanwhile is looked through.
"""

from __future__ import annotations

import asyncio
import errno
import os
import select
import signal
import sys
import termios
import tty
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.history import InMemoryHistory
from prompt_toolkit.input.posix_utils import PosixStdinReader
from prompt_toolkit.input.typeahead import get_typeahead, store_typeahead
from prompt_toolkit.input.vt100 import Vt100Input, raw_mode
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.keys import Keys
from prompt_toolkit.lexers import Lexer
from prompt_toolkit.output import ColorDepth
from prompt_toolkit.output.vt100 import Vt100_Output
from prompt_toolkit.styles import BaseStyle

from llmspell_cli.terminal.candidates import Offer
from llmspell_cli.terminal.interrupts import Interrupts
from llmspell_cli.terminal.typed_line import CONTINUATION

_ENDS = (signal.SIGTERM, signal.SIGHUP)
"""Signals that end the command; the terminal is put in order before they do."""


class LineEditor:
    """Reads inputs from the terminal that stdin is.

    `incomplete` says of a text whether Enter begins another line instead of ending the input; `inputs` are those of
    earlier sessions, the oldest first; `offer` is asked by Tab.
    """

    def __init__(
        self,
        interrupts: Interrupts,
        *,
        color: bool,
        incomplete: Callable[[str], bool],
        inputs: Sequence[str],
        offer: Offer,
        lexer: Lexer | None = None,
        style: BaseStyle | None = None,
    ) -> None:
        self._interrupts = interrupts
        self._incomplete = incomplete
        self._loop = asyncio.new_event_loop()
        self._loop.set_exception_handler(self._fail)
        self._ended: signal.Signals | None = None
        self._session: PromptSession[str] = PromptSession(
            history=InMemoryHistory(inputs),
            completer=_Offers(offer),
            complete_while_typing=False,
            lexer=lexer,
            style=style,
            include_default_pygments_style=False,
            color_depth=None if color else ColorDepth.DEPTH_1_BIT,
            multiline=True,
            prompt_continuation=lambda _width, _line, wrapped: "" if wrapped else CONTINUATION,
            enable_suspend=True,
            key_bindings=self._keys(),
            interrupt_exception=_Aborted,
            input=_TerminalInput(interrupts),
            output=_screen(),
        )

    def read(self, prompt: str) -> str:
        """One input, without the newline at its end.

        Raises:
            EOFError: Ctrl-D with nothing typed, or the terminal is gone.
            KeyboardInterrupt: Ctrl-C, here or since the last look at it.
        """
        with self._interrupts.received_by(self._wake):
            if self._interrupts.take():
                raise KeyboardInterrupt
            try:
                return self._loop.run_until_complete(self._prompt(prompt))
            except _Aborted:
                raise KeyboardInterrupt from None
            except _Ended:
                if self._ended is not None:
                    os.kill(os.getpid(), self._ended)
                raise EOFError from None

    def typed_ahead(self) -> str | None:
        """A whole line that was typed behind the last input: what asks for one now need not wait."""
        keys = get_typeahead(self._session.input)
        enter = next((at for at, press in enumerate(keys) if press.key in (Keys.ControlM, Keys.ControlJ)), None)
        store_typeahead(self._session.input, keys if enter is None else keys[enter + 1 :])
        return None if enter is None else "".join(press.data for press in keys[:enter])

    def close(self) -> None:
        """Gives the event loop back."""
        self._loop.close()

    async def _prompt(self, prompt: str) -> str:
        # They also have the loop woken by every other signal: one that arrives just before it sleeps is not slept
        # through.
        before = [(number, signal.getsignal(number)) for number in _ENDS]
        for number in _ENDS:
            self._loop.add_signal_handler(number, self._end, number)
        try:
            return await self._session.prompt_async(
                prompt, pre_run=self._look, set_exception_handler=False, handle_sigint=False
            )
        finally:
            for number, handler in before:
                self._loop.remove_signal_handler(number)
                signal.signal(number, handler)

    def _wake(self) -> None:
        self._loop.call_soon_threadsafe(self._look)

    def _look(self) -> None:
        if self._editing and self._interrupts.take():
            self._leave(_Aborted)

    def _end(self, number: signal.Signals) -> None:
        self._ended = number
        self._leave(_Ended)

    def _fail(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """A key's or a completer's error ends the reading; in a log it would go unseen."""
        self._leave(context.get("exception") or RuntimeError(context["message"]))

    def _leave(self, error: BaseException | type[BaseException]) -> None:
        if self._editing:
            self._session.app.exit(exception=error, style="class:aborting")

    @property
    def _editing(self) -> bool:
        future = self._session.app.future
        return future is not None and not future.done()

    def _keys(self) -> KeyBindings:
        keys = KeyBindings()

        @keys.add("enter")
        def _(event: KeyPressEvent) -> None:
            buffer = event.current_buffer
            if buffer is self._session.default_buffer and self._incomplete(buffer.text):
                buffer.cursor_position = len(buffer.text)
                buffer.insert_text("\n")
            else:
                buffer.validate_and_handle()

        return keys


class _Offers(Completer):
    def __init__(self, offer: Offer) -> None:
        self._offer = offer

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        """The candidates at the cursor."""
        found = self._offer(document.text, document.cursor_position)
        for text in found.texts:
            yield Completion(text, start_position=found.start - document.cursor_position)


class _Aborted(Exception):
    """Ctrl-C. No KeyboardInterrupt, which an event loop does not take in."""


class _Ended(Exception):
    """One of the signals that end the command."""


def _screen() -> Vt100_Output:
    stream = sys.stdout if sys.stdout.isatty() else sys.stderr
    screen = Vt100_Output.from_pty(stream, term=os.environ.get("TERM"), default_color_depth=ColorDepth.from_env())
    # Not every terminal says where its cursor is, and an answer that comes late is taken for typed.
    screen.enable_cpr = False
    return screen


class _TerminalInput(Vt100Input):
    """Keys from stdin. What was typed behind the end of an input is kept for the next one, up to a Ctrl-C in it."""

    def __init__(self, interrupts: Interrupts) -> None:
        super().__init__(sys.stdin)
        self._interrupts = interrupts
        self.stdin_reader = _Reader(self.fileno(), errors="replace", encoding=sys.stdin.encoding)

    def raw_mode(self) -> raw_mode:
        """The mode while a line is edited."""
        return _RawMode(self.fileno(), self._look_through)

    def _look_through(self) -> None:
        keys = get_typeahead(self)
        while not self.closed and select.select([self], [], [], 0)[0]:
            keys += self.read_keys()
        interrupts = [at for at, press in enumerate(keys) if press.key == Keys.ControlC]
        if interrupts:
            self._interrupts.remember()
            keys = keys[interrupts[-1] + 1 :]
        store_typeahead(self, keys)


class _RawMode(raw_mode):
    """Raw while inside; on the way out Ctrl-C is a signal again before the rest is as it was."""

    def __init__(self, fileno: int, look_through: Callable[[], None]) -> None:
        super().__init__(fileno)
        self._look_through = look_through

    def __exit__(self, *failure: object) -> None:
        try:
            mode = termios.tcgetattr(self.fileno)
            mode[tty.LFLAG] |= termios.ISIG
            termios.tcsetattr(self.fileno, termios.TCSANOW, mode)
            self._look_through()
        except termios.error:
            pass  # The terminal is gone, and with it all that was typed.
        finally:
            super().__exit__(*failure)


class _Reader(PosixStdinReader):
    """Notices that the terminal is gone (EIO); reading would be tried again for ever otherwise."""

    def read(self, count: int = 1024) -> str:
        """What can be read without waiting."""
        try:
            if not self.closed and select.select([self.stdin_fd], [], [], 0)[0]:
                data = os.read(self.stdin_fd, count)
                self.closed = not data
                return self._stdin_decoder.decode(data)
        except OSError as error:
            self.closed = error.errno in (errno.EIO, errno.EBADF)
        return ""
