"""How far an ingest or a rebuild is, told now and then: what is done, how fast, and how long it will take."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

from llmspell_kernel.request import Request
from llmspell_protocol.areas.rag import RagProgress
from llmspell_protocol.content import to_content

TOLD_EVERY_S = 0.2
_RATE_AFTER_S = 0.5
"""Sooner a rate says nothing."""
_RECENT_S = 10.0
"""So long ago things may have gone faster: what was unchanged since the last time costs next to nothing."""

_MOMENTS = 1_000


class _Moment(NamedTuple):
    """What was done at a time."""

    at: float
    documents: int
    chunks: int
    bytes: int


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
        self._moments = deque([self._moment(clock())], maxlen=_MOMENTS)

    def restart(self) -> None:
        """What is fast and what is slow begins here."""
        self._moments = deque([self._moment(self._clock())], maxlen=_MOMENTS)

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
        self._moments.append(self._moment(now))
        while self._moments[1].at <= now - _RECENT_S and self._moments[1].chunks < self.chunks_done:
            self._moments.popleft()
        before = self._moments[0]
        passed_s, chunks = now - before.at, self.chunks_done - before.chunks
        if passed_s < _RATE_AFTER_S or not chunks:
            return None, None
        rate = chunks / passed_s
        for done, lately, whole in (
            (self.chunks_done, chunks, self.chunks),
            (self.bytes_done, self.bytes_done - before.bytes, self.bytes),
            (self.documents_done, self.documents_done - before.documents, self.documents),
        ):
            if whole and lately:
                return round(rate, 2), round(max(0.0, passed_s * (whole - done) / lately), 1)
        return round(rate, 2), None

    def _moment(self, now: float) -> _Moment:
        return _Moment(now, self.documents_done, self.chunks_done, self.bytes_done)
