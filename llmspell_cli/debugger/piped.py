"""Commands from a pipe or a file: a line each, in order. Knows when one may be taken, not what it does."""

from __future__ import annotations

import os
import select
import sys
from collections import deque

from llmspell_cli.debugger.typed import command_and_rest
from llmspell_protocol.client.sync import HasFileno


class PipedCommands:
    """Lines of standard input. Of a script that runs only `pause` is taken, and only where its turn has come: what is
    written behind `continue` is meant for the next stop."""

    def __init__(self) -> None:
        self._lines: deque[str] = deque()
        self._rest = b""
        self._ended = False

    @property
    def source(self) -> HasFileno | None:
        """What to wait for while the script runs; None while a line waits for its turn, and behind the last one."""
        return None if self._lines or self._ended else sys.stdin

    def read(self) -> str | None:
        """The next line; None at the end of input."""
        while not self._lines and not self._ended:
            self._fill()
        return self._lines.popleft() if self._lines else None

    def at_once(self) -> str | None:
        """A command that a running script is given; None if there is none."""
        if not self._lines and not self._ended and select.select([sys.stdin], [], [], 0)[0]:
            self._fill()
        if self._lines and command_and_rest(self._lines[0])[0] == "pause":
            return self._lines.popleft()
        return None

    def close(self) -> None:
        """Nothing to end."""

    def _fill(self) -> None:
        # Not through `sys.stdin`, which would read more than a line: what lies in its buffer can't be waited for.
        data = os.read(sys.stdin.fileno(), 1 << 16)
        self._ended = not data
        *lines, self._rest = (self._rest + data).split(b"\n")
        if self._ended and self._rest:
            lines, self._rest = [*lines, self._rest], b""
        for line in lines:
            self._lines.append(line.decode(sys.stdin.encoding, sys.stdin.errors or "strict").removesuffix("\r"))
