"""How long to wait before a request is sent again: what the server says, else a growing pause with jitter."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

_LONGEST_S = 365 * 86_400.0
"""What a server may ask for; more is no number of seconds that a server means."""


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """The seconds that a server asks for: `retry-after-ms`, or `Retry-After` as a number or a date (RFC 9110).

    None where it asks for nothing, or for something that is no time.
    """
    for name, scale in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        text = headers.get(name)
        if text is None:
            continue
        try:
            asked_s = float(text) * scale
        except ValueError:
            try:
                asked_s = parsedate_to_datetime(text).timestamp() - time.time()
            except (ValueError, OverflowError, OSError):
                continue
        if math.isfinite(asked_s) and asked_s <= _LONGEST_S:
            return max(0.0, asked_s)
    return None


def pause_s(attempt: int, *, initial_ms: int, longest_ms: int, multiplier: float, asked_s: float | None) -> float:
    """The pause after failed attempt number `attempt` (0, 1, …); never shorter than the server asked for.

    Without a word of the server the pause is drawn from the upper half of `initial · multiplier^attempt`, so that
    clients which failed together do not come back together.
    """
    if asked_s is not None:
        return asked_s * random.uniform(1.0, 1.1)
    whole_s = min(float(longest_ms), initial_ms * multiplier ** min(attempt, 64)) / 1000
    return random.uniform(whole_s / 2, whole_s)
