"""How far a pull is: counts bytes, measures speed, and reports at most ten times a second.

What was held back because a report had just gone out follows when its time has come, so that a download that stalls
shows where it stalled.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

from llmspell_protocol.models import Phase, PullProgress

_INTERVAL_S = 0.1
_WINDOW_S = 5.0


class Meter:
    """Progress of one pull over all its files; a change of phase or file is reported at once."""

    def __init__(self, report: Callable[[PullProgress], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._report = report
        self._clock = clock
        self._phase: Phase = "resolving"
        self._file: str | None = None
        self._total: int | None = None
        self._planned: int | None = None
        self._finished = 0
        self._done = 0
        self._last_report = float("-inf")
        self._reported = 0
        self._samples: deque[tuple[float, int]] = deque()
        self._lock = threading.RLock()
        self._held_back: threading.Timer | None = None

    def plan(self, total_bytes: int | None) -> None:
        """How many bytes all files have together; forgets what came from a source that failed."""
        self._planned = total_bytes
        self._finished = self._done = 0
        self._samples.clear()

    def enter(self, phase: Phase, file: str | None = None) -> None:
        """Another phase, which may be about one file."""
        self._phase = phase
        self._file = file
        self._now(force=True)

    def begin(self, file: str, have: int, total: int | None) -> None:
        """A file begins to come, `have` of its `total` bytes being there."""
        self._phase = "downloading"
        self._file = file
        self._total = self._planned if self._planned is not None else total
        self._done = self._finished + have
        self._samples.clear()
        self._now(force=True)

    def add(self, count: int) -> None:
        """Bytes of the current file have come."""
        self._done += count
        self._now(force=False)

    def end(self, size: int) -> None:
        """The current file is there."""
        self._finished += size
        self._done = self._finished

    def follow(self, done: int, total: int | None) -> None:
        """Another process is downloading and stands here."""
        self._phase = "downloading"
        self._done, self._total = done, total
        self._now(force=False)

    def _now(self, *, force: bool) -> None:
        with self._lock:
            now = self._clock()
            wait_s = self._last_report + _INTERVAL_S - now
            if not force and wait_s > 0:
                if self._held_back is None:
                    self._held_back = threading.Timer(wait_s, self._follow_up)
                    self._held_back.daemon = True
                    self._held_back.start()
                return
            self._last_report = now
            self._reported = self._done
            self._report(self._standing(now))

    def _follow_up(self) -> None:
        with self._lock:
            self._held_back = None
            if self._phase == "downloading" and self._done != self._reported:
                self._now(force=False)

    def _standing(self, now: float) -> PullProgress:
        self._samples.append((now, self._done))
        while self._samples[0][0] < now - _WINDOW_S:
            self._samples.popleft()
        started, before = self._samples[0]
        speed = (self._done - before) / (now - started) if now - started >= _INTERVAL_S else None
        left = None if self._total is None else max(0, self._total - self._done)
        return PullProgress(
            phase=self._phase,
            file=self._file,
            bytes_downloaded=self._done,
            bytes_total=self._total,
            percent_complete=round(min(100.0, 100.0 * self._done / self._total), 1) if self._total else 0.0,
            bytes_per_second=None if speed is None else round(speed, 1),
            eta_s=None if not speed or left is None else round(left / speed, 1),
        )
