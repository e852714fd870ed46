"""Cancels executions of one component beyond so many in a minute."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from llmspell_kernel.services.hooks.builtin.native import BEFORE
from llmspell_kernel.services.hooks.component import Component
from llmspell_kernel.services.hooks.hook import Occasion
from llmspell_kernel.services.hooks.verdict import Verdict

if TYPE_CHECKING:
    from llmspell_profiles.schema.hooks import RateLimitHook

_MINUTE_S = 60.0


class RateLimit:
    """`rate_limit`"""

    name = "rate_limit"
    priority = "highest"
    points = BEFORE
    description = "a limit for executions in a minute"

    def __init__(self, settings: RateLimitHook) -> None:
        self._most = settings.per_minute
        self._began: dict[tuple[str, Component], deque[float]] = {}
        """Those that began last come last."""
        self._allowed = 0
        self._refused = 0

    async def at(self, occasion: Occasion) -> Verdict:
        """Whether this one is within the limit; those of clients with other keys have their own."""
        key = "" if occasion.request is None else occasion.request.caller.key_id
        now = time.monotonic()
        self._forget(now)
        seen = self._began.get((key, occasion.component), deque())
        while seen and seen[0] <= now - _MINUTE_S:
            seen.popleft()
        if len(seen) >= self._most:
            self._refused += 1
            kind, name = occasion.component
            reason = f"rate limit: {kind} '{name}' was executed {self._most} times within a minute"
            return Verdict("cancel", occasion.data, reason=reason)
        seen.append(now)
        self._began.pop((key, occasion.component), None)
        self._began[key, occasion.component] = seen
        self._allowed += 1
        return Verdict("continue", occasion.data)

    def _forget(self, now: float) -> None:
        """Takes out components that have done nothing for a minute: scripts make up their names."""
        while self._began:
            who, seen = next(iter(self._began.items()))
            if seen[-1] > now - _MINUTE_S:
                return
            del self._began[who]

    def figures(self, key_id: str) -> Mapping[str, Any]:
        """How many were let through, and how many were not."""
        return {"allowed": self._allowed, "refused": self._refused}
