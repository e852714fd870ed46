"""How long one execution takes: the time it computes, the time that has passed, and what happens at either limit."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class ScriptClock:
    """Runs from `begin` to `stop`; calls `on_limit(message)` once, at the first limit that is reached.

    While the script waits for something else (`pause`), its computing time stands still. Neither `pause` nor `resume`
    touches a timer: the one that is set looks, when it fires, at how much time is left.
    """

    def __init__(self, compute_s: float, wall_s: float, on_limit: Callable[[str], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._compute_s = compute_s
        self._wall_s = wall_s
        self._on_limit = on_limit
        self._waits = 1  # For its beginning.
        self._stopped = False
        self._computed_s = 0.0
        self._since = self._made = self._loop.time()
        self._wall: asyncio.TimerHandle | None = None
        self._wall_left_s: float | None = None
        self._compute: asyncio.TimerHandle | None = None

    @property
    def elapsed_s(self) -> float:
        """The time since this clock was made, the wait for its beginning included."""
        return self._loop.time() - self._made

    def begin(self) -> None:
        """The script runs from here on."""
        if not self._stopped:
            self._wall = self._loop.call_later(self._wall_s, self._wall_is_over)
            self.resume()

    def pause(self) -> None:
        """The script begins to wait for one more thing."""
        if self._waits == 0:
            self._computed_s += self._loop.time() - self._since
        self._waits += 1

    def resume(self) -> None:
        """One of the things that the script waited for is there."""
        self._waits -= 1
        if self._waits == 0:
            self._since = self._loop.time()
            if self._compute is None and not self._stopped:
                self._compute = self._loop.call_later(self._compute_s - self._computed_s, self._look)

    def freeze(self) -> None:
        """A debugger has stopped the script: neither limit comes nearer until `thaw`."""
        self.pause()
        if self._wall is not None:
            self._wall_left_s = max(0.0, self._wall.when() - self._loop.time())
            self._wall.cancel()
            self._wall = None

    def thaw(self) -> None:
        """It goes on."""
        self.resume()
        if self._wall_left_s is not None and not self._stopped:
            self._wall = self._loop.call_later(self._wall_left_s, self._wall_is_over)
        self._wall_left_s = None

    def stop(self) -> None:
        """The execution is over; no limit is reached any more."""
        self._stopped = True
        for timer in (self._wall, self._compute):
            if timer is not None:
                timer.cancel()
        self._wall = self._compute = None

    def _wall_is_over(self) -> None:
        self.stop()
        self._on_limit(f"Script execution timed out after {self._wall_s:g}s")

    def _look(self) -> None:
        self._compute = None
        if self._waits:
            return  # `resume` sets it again.
        used_s = self._computed_s + self._loop.time() - self._since
        if used_s < self._compute_s:
            self._compute = self._loop.call_later(self._compute_s - used_s, self._look)
            return
        self.stop()
        self._on_limit(
            f"Resource limit exceeded: computing time limit of {self._compute_s:g}s exceeded (used: {used_s:.1f}s)"
        )
