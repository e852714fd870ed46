"""An event loop whose clock jumps: where nothing else is left to do, the next timer is due at once.

For code that waits with the loop's own timers and has neither sockets nor threads: an hour's limit is tested in no
time, and a timer that must not fire has been given its hour.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any


class _Clock:
    def __init__(self) -> None:
        self.now_s = 0.0


class _JumpingSelector(selectors.DefaultSelector):
    """Passes the time that it is asked to wait for, without waiting."""

    def __init__(self, clock: _Clock) -> None:
        super().__init__()
        self._clock = clock

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if not timeout:
            return super().select(timeout)
        ready = super().select(0)
        if not ready:
            self._clock.now_s += timeout
        return ready


class _JumpingLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._jumping = _Clock()
        super().__init__(_JumpingSelector(self._jumping))

    def time(self) -> float:
        return self._jumping.now_s


def run_in_virtual_time(main: Coroutine[Any, Any, None]) -> None:
    """`asyncio.run` on such a loop; a wait without a timer and without an end still hangs, as it does in real time."""
    with asyncio.Runner(loop_factory=_JumpingLoop) as runner:
        runner.run(main)
