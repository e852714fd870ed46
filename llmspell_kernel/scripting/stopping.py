"""How long a script that has to stop may take for it: by the clock, and by the processor's time of its worker.

Lua looks every few thousand instructions whether it has to stop. A worker that has computed for much longer than that
is inside one call of a C function, which nothing reaches; one that has not may be waiting for a busy machine.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from llmspell_protocol.background import of_no_request

GRACE_S = 1.0
"""By the clock."""
BUSY_S = 0.15
"""Of the processor's time; an interrupt is answered within 200 ms."""
LOOK_EVERY_S = 0.01


class StopDeadline:
    """Calls `on_over` once the worker `pid` has had its time, unless `cancel` comes before; belongs to the loop."""

    def __init__(self, pid: int, on_over: Callable[[], None]) -> None:
        self._on_over = on_over
        self._loop = asyncio.get_running_loop()
        self._times = Path(f"/proc/{pid}/schedstat")
        self._over_at = self._loop.time() + GRACE_S
        self._had_s = self._computed_s()
        self._look_again()

    def cancel(self) -> None:
        """It has stopped."""
        self._timer.cancel()

    def _look_again(self) -> None:
        self._timer = of_no_request(self._loop.call_later, LOOK_EVERY_S, self._look)

    def _look(self) -> None:
        now_s = self._computed_s()
        is_busy = now_s is not None and self._had_s is not None and now_s - self._had_s >= BUSY_S
        if is_busy or self._loop.time() >= self._over_at:
            self._on_over()
        else:
            self._look_again()

    def _computed_s(self) -> float | None:
        """The time that the worker has computed; None where the system doesn't tell."""
        try:
            return int(self._times.read_bytes().split()[0]) / 1e9
        except (OSError, ValueError, IndexError):
            return None
