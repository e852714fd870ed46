"""The order in which recorded answers are given to what is asked at the same time: that in which they came then.

Branches of a workflow end in the order of their last answers, and results tell which was the last.
"""

from __future__ import annotations

import asyncio
from heapq import heappop, heappush
from itertools import count

from llmspell_protocol.background import of_no_request

_ROUNDS = 20
"""Of the loop, in which what else is asked at the same time comes; an engine needs some from one answer to the next
question."""


class Turns:
    """Has recorded answers wait for those that came before them; belongs to the loop."""

    def __init__(self) -> None:
        self._waiting: list[tuple[float, int, asyncio.Future[None]]] = []
        self._numbers = count()
        self._releasing: asyncio.Task[None] | None = None

    async def wait(self, ended_at: float) -> None:
        """Returns when no answer waits that came before this one, which came at `ended_at` (seconds since 1970)."""
        turn = asyncio.get_running_loop().create_future()
        heappush(self._waiting, (ended_at, next(self._numbers), turn))
        if self._releasing is None:
            self._releasing = of_no_request(asyncio.get_running_loop().create_task, self._release())
        await turn

    async def _release(self) -> None:
        try:
            while self._waiting:
                for _ in range(_ROUNDS):
                    await asyncio.sleep(0)
                _, _, turn = heappop(self._waiting)
                if not turn.done():  # Who waited may be gone.
                    turn.set_result(None)
        finally:
            self._releasing = None
