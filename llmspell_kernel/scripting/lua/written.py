"""What a script writes, on its way to the kernel in fewer frames: the first piece at once, what follows soon together.

A thread sends what is left behind by a script that goes on without writing: nothing else of the worker would run, and
what was written before a script hangs in a library is what tells where. Knows bytes and scopes, not what runs in them.
"""

from __future__ import annotations

import codecs
import threading
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


class Written:
    """The output of one worker; `flush` goes before every frame that is to come after it."""

    def __init__(self, send_text: SendText, send_frame: SendFrame) -> None:
        self._send_text = send_text
        self._send_frame = send_frame
        self._frames: dict[str, Frame] = {}
        self._lock = threading.RLock()
        self._pieces: list[bytes] = []
        self._size = 0
        self._scope = 0
        self._stream = ""
        self._sent_at = 0.0
        self._decoders: dict[tuple[int, str], codecs.IncrementalDecoder] = {}
        self._left: threading.Event | None = None
        """Set while there is something that the thread has to send."""

    def write(self, scope: int, stream: str, data: bytes) -> None:
        """Adds output of a scope; a character may come in pieces."""
        with self._lock:
            if self._pieces and (scope != self._scope or stream != self._stream):
                self.flush()
            self._scope, self._stream = scope, stream
            self._pieces.append(data)
            self._size += len(data)
            if self._size >= PIECE_BYTES or monotonic() - self._sent_at >= WINDOW_S:
                self.flush()
            elif len(self._pieces) == 1:
                self._leave()

    def tell(self, key: str, frame: Frame) -> None:
        """Adds a frame in the place of an earlier one with this key that has not been sent."""
        with self._lock:
            self._frames[key] = frame
            if monotonic() - self._sent_at >= WINDOW_S:
                self.flush()
            else:
                self._leave()

    def flush(self) -> None:
        """Sends what is there."""
        with self._lock:
            self._flush_text()
            if self._frames:
                frames, self._frames = self._frames, {}
                self._sent_at = monotonic()
                for frame in frames.values():
                    self._send_frame(frame)

    def _flush_text(self) -> None:
        if not self._pieces:
            return
        data = b"".join(self._pieces)
        self._pieces.clear()
        self._size = 0
        self._sent_at = monotonic()
        key = self._scope, self._stream
        decoder = self._decoders.get(key)
        if decoder is None:
            decoder = self._decoders[key] = codecs.getincrementaldecoder("utf-8")("replace")
        text = decoder.decode(data)
        for start in range(0, len(text), FRAME_CHARACTERS):
            self._send_text(*key, text[start : start + FRAME_CHARACTERS])

    def ended(self, scope: int) -> None:
        """Nothing more comes of a scope."""
        with self._lock:
            self.flush()
            self._decoders = {key: decoder for key, decoder in self._decoders.items() if key[0] != scope}

    def _leave(self) -> None:
        if self._left is None:
            self._left = threading.Event()
            threading.Thread(target=self._send_what_is_left, args=(self._left,), daemon=True).start()
        self._left.set()

    def _send_what_is_left(self, left: threading.Event) -> None:
        while True:
            left.wait()
            left.clear()
            sleep(WINDOW_S)
            self.flush()
