"""What a script writes, on its way to the kernel in fewer frames: the first piece at once, what follows soon together.

A thread sends what is left behind by a script that goes on without writing: nothing else of the worker would run, and
what was written before a script hangs in a library is what tells where. Knows bytes and scopes, not what runs in them.
"""

from __future__ import annotations

import codecs
import threading
from collections import deque
from collections.abc import Callable
from time import monotonic, sleep

from llmspell_protocol.frames import Frame

WINDOW_S = 0.01
PIECE_BYTES = 8192
FRAME_CHARACTERS = 1 << 20
"""A single frame has a size limit, what a script prints has none."""

SendText = Callable[[int, str, str], None]
"""Sends `(scope, stream, text)`."""
SendFrame = Callable[[Frame], None]


class Pace:
    """How long a script has to wait with its next comm message, so that the frontends' server passes on each."""

    BURST = 500
    A_SECOND = 500

    def __init__(self, now: Callable[[], float] = monotonic) -> None:
        self._now = now
        self._level = float(self.BURST)
        self._at = now()

    def wait_s(self) -> float:
        """Counts a message; seconds until the next one may come."""
        now = self._now()
        self._level = min(self.BURST, self._level + (now - self._at) * self.A_SECOND) - 1
        self._at = now
        return max(0.0, -self._level / self.A_SECOND)


class Written:
    """The output of one worker; `flush` goes before every frame that is to come after it.

    One thread writes, and two flush: what they share is a deque, so that a line that is only added takes no lock.
    """

    def __init__(self, send_text: SendText, send_frame: SendFrame) -> None:
        self._send_text = send_text
        self._send_frame = send_frame
        self._pieces: deque[bytes] = deque()
        self._size = 0
        """About how many bytes they have: the other thread may have taken some."""
        self._scope = 0
        self._stream = ""
        self._frames: dict[str, Frame] = {}
        self._sent_at = 0.0
        self._lock = threading.RLock()
        self._decoders: dict[tuple[int, str], codecs.IncrementalDecoder] = {}
        self._left: threading.Event | None = None
        self._is_left = False
        """Whether the thread is going to look."""

    def write(self, scope: int, stream: str, data: bytes) -> None:
        """Adds output of a scope; a character may come in pieces."""
        if scope != self._scope or stream != self._stream:
            self.flush()
            self._scope, self._stream = scope, stream
        self._pieces.append(data)
        self._size += len(data)
        if self._size >= PIECE_BYTES or monotonic() - self._sent_at >= WINDOW_S:
            self.flush()
        elif not self._is_left:
            self._leave()

    def tell(self, key: str, frame: Frame) -> None:
        """Adds a frame in the place of an earlier one with this key that has not been sent."""
        with self._lock:
            self._frames[key] = frame
        if monotonic() - self._sent_at >= WINDOW_S:
            self.flush()
        elif not self._is_left:
            self._leave()

    def flush(self) -> None:
        """Sends what is there."""
        if not self._pieces and not self._frames:
            with self._lock:  # The other thread may be sending what was.
                return
        with self._lock:
            self._flush_text()
            frames, self._frames = self._frames, {}
            for frame in frames.values():
                self._send_frame(frame)
            self._sent_at = monotonic()

    def ended(self, scope: int) -> None:
        """Nothing more comes of a scope."""
        self.flush()
        with self._lock:
            for key in [key for key in self._decoders if key[0] == scope]:
                if rest := self._decoders.pop(key).decode(b"", final=True):
                    # A character that has never become whole.
                    self._send_text(*key, rest)

    def _flush_text(self) -> None:
        pieces = [self._pieces.popleft() for _ in range(len(self._pieces))]
        self._size = 0
        if not pieces:
            return
        key = self._scope, self._stream
        decoder = self._decoders.get(key)
        if decoder is None:
            decoder = self._decoders[key] = codecs.getincrementaldecoder("utf-8")("replace")
        text = decoder.decode(b"".join(pieces))
        for start in range(0, len(text), FRAME_CHARACTERS):
            self._send_text(*key, text[start : start + FRAME_CHARACTERS])

    def _leave(self) -> None:
        if self._left is None:
            left = threading.Event()
            try:
                threading.Thread(target=self._send_what_is_left, args=(left,), daemon=True).start()
            except RuntimeError:
                # Where the script has taken all memory there is no room for a thread.
                self.flush()
                return
            self._left = left
        self._is_left = True
        self._left.set()

    def _send_what_is_left(self, left: threading.Event) -> None:
        while True:
            left.wait()
            left.clear()
            sleep(WINDOW_S)
            self._is_left = False
            self.flush()
