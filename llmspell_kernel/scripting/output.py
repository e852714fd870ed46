"""What a script prints, gathered into fewer messages: the first piece at once, what follows soon after together."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

IOPUB_WINDOW_S = 0.05
IOPUB_PIECE_CHARACTERS = 4096
"""jupyter_server drops output beyond 1,000 messages or 1 MB a second."""


class GatheredOutput:
    """Passes `(stream, text)` on to `emit`; with a window of 0 only what arrived together goes together."""

    def __init__(self, emit: Callable[[str, str], None], window_s: float, piece_characters: int) -> None:
        self._emit = emit
        self._window_s = window_s
        self._limit = piece_characters
        self._name = ""
        self._pieces: list[str] = []
        self._size = 0
        self._timer: asyncio.TimerHandle | None = None

    def write(self, name: str, text: str) -> None:
        """Adds output; the order between streams is kept."""
        if self._pieces and name != self._name:
            self._send()
        self._name = name
        self._pieces.append(text)
        self._size += len(text)
        if self._timer is None:
            self._send()
            self._wait()
        elif self._size >= self._limit:
            self._send()

    def flush(self) -> None:
        """Passes everything on; the output has ended."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._send()

    def pass_on(self) -> None:
        """Passes everything on, before something that comes behind it."""
        self._send()

    def discard(self) -> None:
        """What has not been passed on is not wanted any more."""
        self._pieces.clear()
        self._size = 0

    def _wait(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self._window_s, self._window_is_over)

    def _window_is_over(self) -> None:
        self._timer = None
        if self._pieces:
            self._send()
            self._wait()

    def _send(self) -> None:
        if self._pieces:
            text = "".join(self._pieces)
            self.discard()
            self._emit(self._name, text)
