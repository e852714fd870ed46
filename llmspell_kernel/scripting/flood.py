"""How much of a cell reaches its frontends: what a notebook server passes on, and of a flood the end.

jupyter_server drops what is beyond 1,000 messages or 1 MB a second, counted over three seconds, without a word.
Here a flood is held back and shown once a second, by its newest part; what was cut is said. Knows no messages.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

BURST_BYTES = 1_000_000
BYTES_A_SECOND = 600_000
MESSAGE_BYTES = 1_000
"""What a message counts beside its text: about what its headers have, and a thousand of them are the burst."""
MOST_BYTES = 16_000_000
"""Of one cell; what it prints beyond that is held back to its end."""
KEPT_CHARACTERS = 64 * 1024
MOST_PIECES = 200
"""Of what is held back."""
PIECE_CHARACTERS = 64 * 1024
SHOWN_EACH_S = 1.0

Emit = Callable[[str, str], None]


class Budget:
    """What may be sent now, in bytes: refilled as time passes, and one message may overdraw it."""

    def __init__(self, now: Callable[[], float], most_bytes: int = MOST_BYTES) -> None:
        self._now = now
        self._level = float(BURST_BYTES)
        self._at = now()
        self._left = most_bytes

    @property
    def spent(self) -> bool:
        """Whether nothing more may be sent, ever."""
        return self._left <= 0

    def takes(self, size_bytes: int) -> bool:
        """Whether a message with so many bytes of text may be sent now; it then counts."""
        now = self._now()
        self._level = min(BURST_BYTES, self._level + (now - self._at) * BYTES_A_SECOND)
        self._at = now
        if self._level <= 0 or self.spent:
            return False
        self.count(size_bytes)
        return True

    def count(self, size_bytes: int) -> None:
        """A message was sent, whether it may be or not."""
        self._level -= size_bytes + MESSAGE_BYTES
        self._left -= size_bytes


class BoundedOutput:
    """Passes pieces of output on to `emit`, within the budget."""

    def __init__(self, emit: Emit, budget: Budget) -> None:
        self._emit = emit
        self._budget = budget
        self._held: deque[tuple[str, str]] = deque()
        self._size = 0
        self._cut = 0
        self._timer: asyncio.TimerHandle | None = None
        self._told = False

    def write(self, stream: str, text: str) -> None:
        """Adds a piece."""
        for start in range(0, len(text), PIECE_CHARACTERS):
            piece = text[start : start + PIECE_CHARACTERS]
            if self._held or not self._budget.takes(_bytes(piece)):
                self._hold(stream, piece)
            else:
                self._emit(stream, piece)

    def flush(self) -> None:
        """Shows what is held back: the end of what was printed."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._show()

    def discard(self) -> None:
        """What is held back is not wanted any more."""
        self._held.clear()
        self._size = self._cut = 0

    def _hold(self, stream: str, piece: str) -> None:
        self._held.append((stream, piece))
        self._size += len(piece)
        while self._size > KEPT_CHARACTERS or len(self._held) > MOST_PIECES:
            first_stream, first = self._held.popleft()
            beyond = min(len(first), self._size - KEPT_CHARACTERS) if self._size > KEPT_CHARACTERS else len(first)
            self._size -= beyond
            self._cut += beyond
            if beyond < len(first):
                self._held.appendleft((first_stream, first[beyond:]))
        if self._budget.spent:
            self._tell_of_the_end()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(SHOWN_EACH_S, self._second_is_over)

    def _second_is_over(self) -> None:
        self._timer = None
        if not self._budget.spent:
            self._show()

    def _tell_of_the_end(self) -> None:
        if not self._told:
            self._told = True
            self._emit(
                "stderr",
                f"[a cell shows {MOST_BYTES // 1_000_000} MB: of what it prints from here on the end is shown when it"
                " has ended]\n",
            )

    def _show(self) -> None:
        if self._cut:
            self._begin_at_a_line()
            self._emit("stderr", f"[{self._cut:,} characters were cut here: more than a notebook takes]\n")
        for stream, text in _joined(self._held):
            self._budget.count(_bytes(text))
            self._emit(stream, text)
        self.discard()

    def _begin_at_a_line(self) -> None:
        stream, first = self._held[0]
        line, newline, rest = first.partition("\n")
        if newline and rest:
            self._cut += len(line) + 1
            self._held[0] = (stream, rest)


def _bytes(text: str) -> int:
    size = len(text) if text.isascii() else len(text.encode("utf-8", "replace"))
    return size + text.count("\n")


def _joined(pieces: deque[tuple[str, str]]) -> list[tuple[str, str]]:
    joined: list[tuple[str, list[str]]] = []
    for stream, text in pieces:
        if joined and joined[-1][0] == stream:
            joined[-1][1].append(text)
        else:
            joined.append((stream, [text]))
    return [(stream, "".join(texts)) for stream, texts in joined]
