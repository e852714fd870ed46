"""One registered hook: where, how it is called, and its breaker, which switches it off after five failures in a row."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from llmspell_kernel.request import Request
from llmspell_kernel.services.hooks.component import Component
from llmspell_kernel.services.hooks.verdict import Verdict

FAILURES_IN_A_ROW = 5


class Occasion(NamedTuple):
    """One call of a hook: what it is told. `raw` is the work's result as the service has it, after the work.

    `awaited` says whether the request waits for it. Where it does not, it may have ended meanwhile: the hook has
    nothing of what was granted to the request.
    """

    point: str
    request: Request | None
    """None: the point is the kernel's own."""
    component: Component
    data: Mapping[str, Any]
    raw: Any = None
    awaited: bool = True
    basis: Callable[[], str] | None = None
    """What the result depends on beside the data, as far as it is known by now: for built-in hooks."""


@dataclass(slots=True, eq=False, kw_only=True)
class Hook:
    """One hook; belongs to the loop.

    `context` is the script context that it belongs to; None: it is one of the configuration, and is called for
    everything in the kernel.
    """

    id: str
    name: str
    point: str
    priority: str
    context: str | None
    key_id: str
    call: Callable[[Occasion, Callable[[], None]], Awaitable[Verdict]]
    """Calls it; what it is given besides says that it has begun, and its time counts from then on."""
    tell: Callable[[str], None]
    """Says a line to whom the hook belongs: its script's standard error, or the log."""
    release: Callable[[], None]
    language: str = "lua"
    version: str = "1.0.0"
    description: str | None = None
    tags: tuple[str, ...] = ()
    calls: int = 0
    failures: int = 0
    in_a_row: int = 0
    is_off: bool = False
    total_ms: float = 0.0
    minute: int = -1
    in_minute: int = 0

    def admits(self, most: int) -> bool:
        """Counts a call that is about to be made; False: there were `most` in this minute. The first such is told."""
        minute = int(time.monotonic() // 60)
        if minute != self.minute:
            self.minute, self.in_minute = minute, 0
        self.in_minute += 1
        if self.in_minute == most + 1:
            self.tell(
                f"hook '{self.name}' at {self.point} is left out: {most} calls a minute (hooks.rate_limit_per_minute)"
            )
        return self.in_minute <= most

    def succeeded(self, took_ms: float) -> None:
        """A call has come back with a verdict."""
        self.calls += 1
        self.total_ms += took_ms
        self.in_a_row = 0

    def failed(self, why: str) -> None:
        """A call has failed; after `FAILURES_IN_A_ROW` of them the hook is off, which is told once."""
        self.calls += 1
        self.failures += 1
        self.in_a_row += 1
        self.tell(f"hook '{self.name}' at {self.point} failed and is ignored: {why}")
        if self.in_a_row >= FAILURES_IN_A_ROW and not self.is_off:
            self.is_off = True
            self.tell(f"hook '{self.name}' at {self.point} is switched off: it failed {self.in_a_row} times in a row")
