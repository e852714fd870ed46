"""How far an ingest or a rebuild is, told now and then: what is done, how fast, and how long it will take."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from llmspell_kernel.request import Request
from llmspell_protocol.areas.rag import RagProgress
from llmspell_protocol.content import to_content

TOLD_EVERY_S = 0.2
_RATE_AFTER_S = 0.5
"""Sooner a rate says nothing."""


class Progress:
    """The counts of one request; `tells` is whether anything is sent."""

    def __init__(self, request: Request, *, tells: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self._request = request
        self._tells = tells
        self._clock = clock
        self._began = clock()
        self._last: tuple[str, float] | None = None
        self.documents_done = 0
        self.documents: int | None = None
        self.chunks_done = 0
        self.chunks: int | None = None
        self.bytes_done = 0
        self.bytes: int | None = None

    def restart(self) -> None:
        """What is fast and what is slow begins here."""
        self._began = self._clock()

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
        passed_s = now - self._began
        if passed_s < _RATE_AFTER_S or not self.chunks_done:
            return None, None
        rate = self.chunks_done / passed_s
        for done, whole in (
            (self.chunks_done, self.chunks),
            (self.bytes_done, self.bytes),
            (self.documents_done, self.documents),
        ):
            if whole and done:
                return round(rate, 2), round(max(0.0, passed_s * (whole - done) / done), 1)
        return round(rate, 2), None
