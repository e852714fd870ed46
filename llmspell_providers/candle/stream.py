"""One reply on its way from an engine's callback to the pipe: gathering of deltas, cancel. Knows frames, not engines.

With a window of 0 every token is a frame at once, written by the engine's own callback thread. With a window the
first token still goes at once; later ones are gathered, and the callback that finds the window over writes them all.
The one flusher thread is there for the piece after which the engine goes quiet: it wakes only while something is
gathered, and half as often as the callbacks flush.
"""

from __future__ import annotations

import threading
import time

from llmspell_protocol.frames import FramePipe

UNTOLD_MS = 50
"""A prompt that is read in less shows no progress: to wake kernel and client for it took a millisecond from the first
token, before which two of these messages came."""


class PipeReply:
    """An engine's `Reply` that writes frames; `cancel` may come from any thread."""

    def __init__(self, pipe: FramePipe, request_id: int, window_ms: int, flusher: Flusher) -> None:
        self._pipe = pipe
        self._id = request_id
        self._window_s = window_ms / 1000
        self._flusher = flusher
        self._lock = threading.Lock()
        self._kind = "text"
        self._gathered: list[str] = []
        self._gathered_since = 0.0
        self._last_sent = float("-inf")
        self._shows_progress = False
        self.cancelled = False

    def cancel(self) -> None:
        """Cancels the reply: the engine stops at its next check, and nothing further is sent."""
        self.cancelled = True

    def text(self, piece: str) -> None:
        """The next piece of the answer."""
        self._add("text", piece)

    def reasoning(self, piece: str) -> None:
        """The next piece of what the model thinks aloud."""
        self._add("reasoning", piece)

    def progress(self, processed: int, total: int, elapsed_ms: float) -> None:
        """Tokens of the prompt that have been read, of how many, in what time; from `UNTOLD_MS` on it is told."""
        if elapsed_ms < UNTOLD_MS and not self._shows_progress:
            return
        self._shows_progress = True  # to the end, however soon that comes
        eta_s = (total - processed) / processed * elapsed_ms / 1000 if processed else None
        self._send({"op": "progress", "id": self._id, "processed": processed, "total": total, "eta_s": eta_s})

    def flush(self) -> None:
        """Sends what is gathered."""
        with self._lock:
            self._flush()

    def flush_if_older(self, age_s: float) -> float | None:
        """Sends what has been gathered for `age_s`; else the seconds left until then, None when nothing is."""
        with self._lock:
            if not self._gathered:
                return None
            left = self._gathered_since + age_s - time.monotonic()
            if left > 0:
                return left
            self._flush()
            return None

    @property
    def gathering(self) -> bool:
        """Whether a piece waits to be sent."""
        return bool(self._gathered)

    def _add(self, kind: str, piece: str) -> None:
        if not self._window_s:
            self._send({"op": "delta", "id": self._id, kind: piece})
            return
        with self._lock:
            if kind != self._kind:
                self._flush()
                self._kind = kind
            now = time.monotonic()
            if not self._gathered:
                self._gathered_since = now
            self._gathered.append(piece)
            if now - self._last_sent >= self._window_s:
                self._flush()
                return
            first = len(self._gathered) == 1
        if first:
            self._flusher.watch(self, 2 * self._window_s)

    def _flush(self) -> None:
        if not self._gathered:
            return
        piece, self._gathered = "".join(self._gathered), []
        self._last_sent = time.monotonic()
        self._send({"op": "delta", "id": self._id, self._kind: piece})

    def _send(self, frame: dict[str, object]) -> None:
        if self.cancelled:
            return
        try:
            self._pipe.send(frame)
        except BrokenPipeError:
            self.cancelled = True  # the kernel is gone: let the engine stop


class Flusher:
    """One thread that sends what a reply gathered before its engine went quiet."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._watched: dict[PipeReply, float] = {}
        self._started = False

    def watch(self, reply: PipeReply, age_s: float) -> None:
        """Makes sure that nothing stays gathered in `reply` for much longer than `age_s`."""
        with self._changed:
            if reply in self._watched:
                return
            self._watched[reply] = age_s
            if not self._started:
                self._started = True
                threading.Thread(target=self._run, name="flusher", daemon=True).start()
            self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._watched:
                    self._changed.wait()
                watched = list(self._watched.items())
            waits: list[float] = []
            for reply, age_s in watched:
                left = reply.flush_if_older(age_s)
                if left is None:
                    self._forget(reply)
                else:
                    waits.append(left)
            if waits:
                time.sleep(min(waits))

    def _forget(self, reply: PipeReply) -> None:
        with self._changed:
            # A piece that came since was gathered before its `watch`, which waits for this lock: it is seen here.
            if not reply.gathering:
                self._watched.pop(reply, None)
