"""How long one execution takes: the time it computes, the time that has passed, and what happens at either limit."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class ScriptClock:
    """Runs from its making to `stop`; calls `on_limit(message)` once, at the first limit that is reached.

    While the script waits for somebody else (`pause`), its computing time stands still.
    """

    def __init__(self, compute_s: float, wall_s: float, on_limit: Callable[[str], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._compute_s = compute_s
        self._wall_s = wall_s
        self._on_limit = on_limit
        self._waits = 0
        self._stopped = False
        self._computed_s = 0.0
        self._since = self._started = self._loop.time()
        self._wall = self._loop.call_later(wall_s, self._wall_is_over)
        self._compute: asyncio.TimerHandle | None = self._loop.call_later(compute_s, self._compute_is_over)

    @property
    def elapsed_s(self) -> float:
        """The time since the start."""
        return self._loop.time() - self._started

    def pause(self) -> None:
        """The script begins to wait for one more thing."""
        self._waits += 1
        if self._compute is not None:
            self._compute.cancel()
            self._compute = None
            self._computed_s += self._loop.time() - self._since

    def resume(self) -> None:
        """One of the things that the script waited for is there."""
        self._waits -= 1
        if self._waits == 0 and not self._stopped:
            self._since = self._loop.time()
            left_s = max(0.0, self._compute_s - self._computed_s)
            self._compute = self._loop.call_later(left_s, self._compute_is_over)

    def stop(self) -> None:
        """The execution is over; no limit is reached any more."""
        self._stopped = True
        self._wall.cancel()
        if self._compute is not None:
            self._compute.cancel()
            self._compute = None

    def _wall_is_over(self) -> None:
        self.stop()
        self._on_limit(f"Script execution timed out after {self._wall_s:g}s")

    def _compute_is_over(self) -> None:
        used_s = self._computed_s + self._loop.time() - self._since
        self.stop()
        self._on_limit(
            f"Resource limit exceeded: computing time limit of {self._compute_s:g}s exceeded (used: {used_s:.1f}s)"
        )
