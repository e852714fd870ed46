"""A terminal's second screen for what is shown again and again; the first comes back as it was. Knows no command."""

from __future__ import annotations

import signal
import sys
from types import FrameType
from typing import TYPE_CHECKING, Any

from llmspell_cli.terminal.output import Output

if TYPE_CHECKING:
    from rich.console import Console

_TERMINATED = 128 + signal.SIGTERM


class LiveScreen:
    """Use as a context manager: however the block is left, by Ctrl+C or SIGTERM too, the terminal is put right."""

    def __init__(self, output: Output) -> None:
        self._color = output.color
        self._console: Console | None = None
        self._handlers: dict[signal.Signals, Any] = {}

    def __enter__(self) -> LiveScreen:
        # rich takes 40 ms to import; only who watches at a terminal needs it.
        from rich.console import Console

        self._console = Console(no_color=not self._color, highlight=False)
        # Without handlers a new window size would not end the sleep, and TERM would leave the second screen.
        for number, handler in ((signal.SIGTERM, _end), (signal.SIGWINCH, _wake)):
            self._handlers[number] = signal.signal(number, handler)
        self._console.set_alt_screen(True)
        self._console.show_cursor(False)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._console is not None
        sys.stdout.flush()
        self._console.show_cursor(True)
        self._console.set_alt_screen(False)
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def clear(self) -> None:
        """An empty screen, to be written from its top."""
        # Imported by `__enter__` already.
        from rich.control import Control

        assert self._console is not None
        sys.stdout.flush()
        self._console.control(Control.clear(), Control.home())


def _end(_number: int, _frame: FrameType | None) -> None:
    raise SystemExit(_TERMINATED)


def _wake(_number: int, _frame: FrameType | None) -> None:
    """Does nothing: a handler at all ends the sleep, after which the screen is drawn again."""
