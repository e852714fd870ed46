"""A limit of requests and tokens a minute that a client keeps by itself. Knows time, not what is asked for."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

WINDOW_S = 60.0


class Spent:
    """What one request took out of the window; `tokens` may be corrected when the real number is known."""

    __slots__ = ("at", "tokens")

    def __init__(self, at: float, tokens: int) -> None:
        self.at = at
        self.tokens = tokens


class RateWindow:
    """Never more than so many requests and tokens in any 60 seconds; a request over the limit alone goes alone."""

    def __init__(self, requests: int | None, tokens: int | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._requests = requests
        self._tokens = tokens
        self._clock = clock
        self._spent: deque[Spent] = deque()

    def wait_s(self, tokens: int) -> float:
        """Seconds until a request of so many tokens may be sent; 0 when it may be now."""
        now = self._clock()
        while self._spent and self._spent[0].at + WINDOW_S <= now:
            self._spent.popleft()
        count, sum_tokens, free_at = len(self._spent), sum(one.tokens for one in self._spent), now
        for one in self._spent:
            if not self._over(count, sum_tokens, tokens):
                break
            count, sum_tokens, free_at = count - 1, sum_tokens - one.tokens, one.at + WINDOW_S
        return max(0.0, free_at - now)

    def spend(self, tokens: int) -> Spent:
        """Notes a request that is being sent."""
        spent = Spent(self._clock(), tokens)
        self._spent.append(spent)
        return spent

    def _over(self, count: int, sum_tokens: int, tokens: int) -> bool:
        too_many = self._requests is not None and count >= self._requests
        return too_many or (self._tokens is not None and sum_tokens + tokens > self._tokens)
