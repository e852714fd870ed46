"""What jupyter_server passes on to a frontend: at most 1,000 messages and 1 MB of text a second, over three seconds.

Counted as its `ZMQChannelsWebsocketConnection._limit_rate` does; without what it does once something was dropped.
"""

from __future__ import annotations

from collections import deque

MESSAGES_A_SECOND = 1_000
BYTES_A_SECOND = 1_000_000
WINDOW_S = 3.0
UNCOUNTED = frozenset({"status", "comm_open", "execute_input"})


class NotebookServer:
    """The limits of one connection."""

    def __init__(self) -> None:
        self.dropped = 0
        self._window: deque[tuple[float, int]] = deque()

    def take(self, msg_type: str, size_bytes: int, now_s: float) -> None:
        """One message on IOPub, with all of its parts; one beyond the limits counts as dropped."""
        if msg_type in UNCOUNTED:
            return
        while self._window and now_s >= self._window[0][0]:
            self._window.popleft()
        self._window.append((now_s + WINDOW_S, size_bytes if msg_type == "stream" else 0))
        messages, total = len(self._window), sum(size for _, size in self._window)
        if messages > MESSAGES_A_SECOND * WINDOW_S or total > BYTES_A_SECOND * WINDOW_S:
            self.dropped += 1
