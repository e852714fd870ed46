"""What is typed while no prompt reads it: kept by the terminal for the next input, and not shown among what is printed.

However the command ends, by SIGTERM or a defect too, the terminal echoes again; a command that Ctrl-Z has stopped
leaves it to the shell as it was found. Knows the terminal that stdin is, nothing of what is read.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from types import FrameType
from typing import Any

_ENDS = (signal.SIGTERM, signal.SIGHUP)


class QuietTerminal:
    """Inside, the terminal doesn't echo; where stdin is none, nothing is changed. For the main thread."""

    def __init__(self) -> None:
        self._found: list[Any] | None = None
        """The terminal's attributes as they were."""
        self._handlers: dict[signal.Signals, Any] = {}

    def __enter__(self) -> QuietTerminal:
        if sys.stdin.isatty():
            # Needed at a terminal only.
            import termios

            self._found = termios.tcgetattr(sys.stdin)
            self._echo(False)
            for number in _ENDS:
                self._handlers[number] = signal.signal(number, self._end)
            self._handlers[signal.SIGTSTP] = signal.signal(signal.SIGTSTP, self._stop)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._handlers.clear()
        self._restore()

    @contextlib.contextmanager
    def echoing(self) -> Iterator[None]:
        """Inside, the terminal echoes, for a line that it edits itself."""
        self._echo(True)
        try:
            yield
        finally:
            self._echo(False)

    def _echo(self, shown: bool) -> None:
        if self._found is None:
            return
        import termios

        attributes = termios.tcgetattr(sys.stdin)
        attributes[3] = attributes[3] | termios.ECHO if shown else attributes[3] & ~termios.ECHO
        _set(attributes)

    def _restore(self) -> None:
        if self._found is not None:
            _set(self._found)

    def _leave(self) -> None:
        """Leaves the terminal in the middle of whatever is shown: its style ends, and the cursor can be seen."""
        self._restore()
        if sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb":
            with contextlib.suppress(OSError):
                os.write(sys.stderr.fileno(), b"\x1b[0m\x1b[?25h")

    def _end(self, number: int, frame: FrameType | None) -> None:
        self._leave()
        before = self._handlers.get(signal.Signals(number))
        if callable(before):
            before(number, frame)
            return
        signal.signal(number, before if before is not None else signal.SIG_DFL)
        os.kill(os.getpid(), number)

    def _stop(self, number: int, _frame: FrameType | None) -> None:
        if self._found is None:
            return
        import termios

        now = termios.tcgetattr(sys.stdin)
        self._leave()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        # Here it goes on, with `fg`.
        signal.signal(number, self._stop)
        _set(now)


def _set(attributes: list[Any]) -> None:
    import termios

    # The terminal may be gone, and with it what was typed.
    with contextlib.suppress(termios.error):
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, attributes)
