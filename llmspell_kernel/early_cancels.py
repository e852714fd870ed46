"""Cancels that came before their requests: the two travel on different sockets, and either may be first.

Knows ids, senders (key and session) and times, not requests.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

KEPT_S = 10.0
MOST = 256
"""Both bounds together keep ids that never come from piling up."""


class EarlyCancels:
    """The ids that are to be cancelled when they come, for a while."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kept: OrderedDict[tuple[str, str], float] = OrderedDict()

    def remember(self, msg_id: str, sender: str) -> None:
        """Keeps a cancel whose request has not come yet; the oldest ones are forgotten for it."""
        self._kept.pop((msg_id, sender), None)
        self._kept[msg_id, sender] = self._clock() + KEPT_S
        if len(self._kept) > MOST:
            self._kept.popitem(last=False)

    def take(self, msg_id: str, sender: str) -> bool:
        """Whether a request of this sender that comes now was cancelled before; tells it once."""
        until = self._kept.pop((msg_id, sender), None)
        return until is not None and bool(sender) and self._clock() < until
