"""How far a pull is: adds up the bytes of all files, measures speed, and reports at most ten times a second.

What was held back because a report had just gone out follows when its time has come, so that a download that stalls
shows where it stalled. Several threads may report.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence

from llmspell_protocol.pulls import Phase, PulledFile, PullProgress

_INTERVAL_S = 0.1
_WINDOW_S = 5.0


class Meter:
    """Progress of one pull over all its files; a change of phase or file is reported at once."""

    def __init__(
        self,
        report: Callable[[PullProgress], None],
        clock: Callable[[], float] = time.monotonic,
        *,
        moving: Phase = "downloading",
    ) -> None:
        """`moving` is the phase in which bytes are counted."""
        self._report = report
        self._moving = moving
        self._clock = clock
        self._phase: Phase = "resolving"
        self._file: str | None = None
        self._sizes: dict[str, int | None] = {}
        self._have: dict[str, int] = {}
        self._followed: tuple[int, int | None] | None = None
        self._last_report = float("-inf")
        self._reported = 0
        self._samples: deque[tuple[float, int]] = deque()
        self._lock = threading.RLock()
        self._held_back: threading.Timer | None = None

    def restart(self) -> None:
        """Forgets the files of a source that failed."""
        with self._lock:
            self._sizes.clear()
            self._have.clear()
            self._samples.clear()
            self._followed = None

    def expect(self, files: Sequence[PulledFile], have: Mapping[str, int]) -> None:
        """Which files will come; `have` are the bytes of each that are there already."""
        with self._lock:
            self.restart()
            self._sizes = {file.name: file.size_bytes for file in files}
            self._have = {file.name: have.get(file.name, 0) for file in files}

    def plan(self, files: Sequence[PulledFile], *, have: Mapping[str, int], reason: str | None) -> None:
        """Says which files will come, before they do, and why these."""
        with self._lock:
            self.expect(files, have)
            self._say(files=files, reason=reason)

    def note(self, reason: str) -> None:
        """Reports why nothing happens."""
        with self._lock:
            self._say(reason=reason)

    def enter(self, phase: Phase, file: str | None = None) -> None:
        """Enters another phase, which may be about one file."""
        with self._lock:
            self._phase = phase
            self._file = file
            self._now(force=True)

    def check(self, file: str) -> None:
        """Bytes of a file that were there are being read; no news while others come."""
        with self._lock:
            if self._phase != self._moving:
                self.enter("verifying", file)

    def begin(self, file: str, have: int, total: int | None) -> None:
        """A file begins to come, or goes on, `have` of its `total` bytes being there."""
        with self._lock:
            if self._have.get(file, 0) != have:
                self._samples.clear()  # these bytes did not come just now
            self._sizes[file] = total
            self._have[file] = have
            self._phase = self._moving
            self._now(force=True)

    def add(self, file: str, count: int) -> None:
        """Bytes of a file have come."""
        with self._lock:
            self._have[file] += count
            self._now(force=False)

    def follow(self, done: int, total: int | None) -> None:
        """Another process is downloading and stands here; the first time it is said that it is another one."""
        with self._lock:
            is_news = self._followed is None
            self._phase = self._moving
            self._followed = (done, total)
            if is_news:
                self._say(reason="another process is pulling this model: this is how far it is")
            else:
                self._now(force=False)

    def _now(self, *, force: bool) -> None:
        now = self._clock()
        wait_s = self._last_report + _INTERVAL_S - now
        if not force and wait_s > 0:
            if self._held_back is None:
                self._held_back = threading.Timer(wait_s, self._follow_up)
                self._held_back.daemon = True
                self._held_back.start()
            return
        self._say()

    def _follow_up(self) -> None:
        with self._lock:
            self._held_back = None
            if self._phase == self._moving and self._bytes()[0] != self._reported:
                self._now(force=False)

    def _bytes(self) -> tuple[int, int | None]:
        """How many bytes of how many are there."""
        if self._followed is not None and not self._have:
            return self._followed
        sizes = [size for size in self._sizes.values() if size is not None]
        return sum(self._have.values()), sum(sizes) if sizes and len(sizes) == len(self._sizes) else None

    def _say(self, files: Sequence[PulledFile] = (), reason: str | None = None) -> None:
        now = self._clock()
        done, total = self._bytes()
        self._last_report, self._reported = now, done
        self._samples.append((now, done))
        while self._samples[0][0] < now - _WINDOW_S:
            self._samples.popleft()
        started, before = self._samples[0]
        speed = max(0, done - before) / (now - started) if now - started >= _INTERVAL_S else None
        left = None if total is None else max(0, total - done)
        self._report(
            PullProgress(
                phase=self._phase,
                file=self._first_unfinished() if self._phase == self._moving else self._file,
                bytes_downloaded=done,
                bytes_total=total,
                percent_complete=round(min(100.0, 100.0 * done / total), 1) if total else 0.0,
                bytes_per_second=None if speed is None else round(speed, 1),
                eta_s=None if not speed or left is None else round(left / speed, 1),
                files=files,
                reason=reason,
            )
        )

    def _first_unfinished(self) -> str | None:
        """The one that is named where several come at once: the last one at the end."""
        unfinished = (name for name, size in self._sizes.items() if size is None or self._have[name] < size)
        return next(unfinished, next(reversed(self._sizes), None))
