"""How far an ingest or a rebuild is, told now and then: what is done, how fast, and how long it will take."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from llmspell_kernel.request import Request
from llmspell_protocol.areas.rag import RagProgress
from llmspell_protocol.content import to_content

TOLD_EVERY_S = 0.2
_RATE_AFTER_S = 0.5
"""Sooner a rate says nothing."""
_RECENT_S = 10.0
"""So long ago things may have gone faster: what was unchanged since the last time costs next to nothing."""


class _Pace:
    """How fast a count has grown lately, by the moments at which it grew: it may stand still for minutes in between."""

    def __init__(self, done: int, began: float) -> None:
        self._steps = deque([(began, done)])

    def reached(self, done: int, now: float) -> None:
        """The count is so high now."""
        if done != self._steps[-1][1]:
            self._steps.append((now, done))
        while len(self._steps) > 2 and self._steps[1][0] <= now - _RECENT_S:
            self._steps.popleft()

    def seconds_each(self, now: float) -> float | None:
        """What one of it takes; None: that can't be said yet."""
        (began, before), (last, done) = self._steps[0], self._steps[-1]
        if done == before or now - began < _RATE_AFTER_S:
            return None
        passed_s = now - began if self._is_late(now) else max(last - began, _RATE_AFTER_S)
        return passed_s / (done - before)

    def left_s(self, whole: int, now: float) -> float | None:
        """What the rest will take; None: that can't be said yet."""
        each_s = self.seconds_each(now)
        if each_s is None:
            return None
        last, done = self._steps[-1]
        of_the_next_s = 0.0 if self._is_late(now) else min(now - last, self._step_s)
        return max(0.0, (whole - done) * each_s - of_the_next_s)

    def _is_late(self, now: float) -> bool:
        """Whether the next step is long overdue. While it isn't, the time since the last one says nothing."""
        return now - self._steps[-1][0] > max(_RECENT_S, 2 * self._step_s)

    @property
    def _step_s(self) -> float:
        return (self._steps[-1][0] - self._steps[0][0]) / max(1, len(self._steps) - 1)


class Progress:
    """The counts of one request; `tells` is whether anything is sent."""

    def __init__(self, request: Request, *, tells: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self._request = request
        self._tells = tells
        self._clock = clock
        self._last: tuple[str, float] | None = None
        self.documents_done = 0
        self.documents: int | None = None
        self.chunks_done = 0
        self.chunks: int | None = None
        self.bytes_done = 0
        self.bytes: int | None = None
        self._begin(clock())

    def restart(self) -> None:
        """What is fast and what is slow begins here."""
        self._begin(self._clock())

    def _begin(self, now: float) -> None:
        self._paces = {name: _Pace(done, now) for name, (done, _) in self._counts.items()}

    @property
    def _counts(self) -> Mapping[str, tuple[int, int | None]]:
        """What is done of each, and of how much where that is known; the first whose whole is known tells most."""
        return {
            "chunks": (self.chunks_done, self.chunks),
            "bytes": (self.bytes_done, self.bytes),
            "documents": (self.documents_done, self.documents),
        }

    def tell(self, stage: Any, current: str | None = None, *, warning: str | None = None) -> None:
        """Sends how far it is, where the last time is a while ago; a new stage and a warning at once."""
        if not self._tells:
            return
        now = self._clock()
        if warning is None and self._last is not None:
            last_stage, told_at = self._last
            if last_stage == stage and now - told_at < TOLD_EVERY_S:
                return
        self._last = (stage, now)
        rate, eta_s = self._speed(now)
        content = RagProgress(
            stage=stage,
            current=current,
            documents_done=self.documents_done,
            documents=self.documents,
            chunks_done=self.chunks_done,
            bytes_done=self.bytes_done,
            bytes=self.bytes,
            rate=rate,
            eta_s=eta_s,
            warning=warning,
        )
        self._request.progress(to_content(content))

    def _speed(self, now: float) -> tuple[float | None, float | None]:
        counts = self._counts
        for name, (done, _) in counts.items():
            self._paces[name].reached(done, now)
        each_s = self._paces["chunks"].seconds_each(now)
        if each_s is None:
            return None, None
        left = (self._paces[name].left_s(whole, now) for name, (_, whole) in counts.items() if whole)
        left_s = next(left, None)
        return round(1 / each_s, 2), None if left_s is None else round(left_s, 1)
