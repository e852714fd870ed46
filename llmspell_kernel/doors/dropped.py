"""Messages of one channel that were not taken: counted by reason, and told in the log once a second at most."""

from __future__ import annotations

import logging
import time
from collections import Counter

log = logging.getLogger(__name__)

_TOLD_EVERY_S = 1.0


class Dropped(Counter[str]):
    """How many were dropped, by reason. The log never shows what they held."""

    def __init__(self, channel: str) -> None:
        super().__init__()
        self._channel = channel
        self._told: dict[str, tuple[int, float]] = {}

    def add(self, reason: str) -> None:
        """Counts one more."""
        self[reason] += 1
        count, told_at = self._told.get(reason, (0, -_TOLD_EVERY_S))
        now = time.monotonic()
        if now - told_at < _TOLD_EVERY_S:
            return
        self._told[reason] = (self[reason], now)
        if self[reason] == count + 1:
            log.warning("dropped a message on %s: %s", self._channel, reason)
        else:
            log.warning("dropped %d messages on %s: %s", self[reason] - count, self._channel, reason)
