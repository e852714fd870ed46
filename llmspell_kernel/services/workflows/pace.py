"""How an execution shares the loop with all else that the kernel does, and how much it may do in all.

Steps that never wait for anything would hold the loop: no other request would be answered, no cancel heard and no time
limit end. So the engine gives way at every step, and between steps where its own work takes long. Knows no steps.
"""

from __future__ import annotations

import asyncio
import time

from llmspell_protocol.errors import InvalidRequest

MAX_ROUNDS = 1_000_000
"""Of all loops of an execution together, nested ones included."""
MAX_STEPS = 10_000_000
"""Steps that one execution begins, in all rounds and nested workflows together."""
SLICE_S = 0.002
"""So long the engine works before it gives way within a step."""


class Pace:
    """The pace of one execution; its levels share it."""

    def __init__(self) -> None:
        self._rounds = self._steps = 0
        self._since = time.monotonic()

    def round(self) -> None:
        """A loop begins a round.

        Raises:
            InvalidRequest: the execution has had as many as it may.
        """
        if self._rounds >= MAX_ROUNDS:
            raise _spent(f"its loops have run {MAX_ROUNDS} rounds in all", {"max_rounds": MAX_ROUNDS})
        self._rounds += 1

    async def step(self) -> None:
        """A step begins: all else that waits for the loop has its turn first.

        Raises:
            InvalidRequest: the execution has begun as many as it may.
        """
        if self._steps >= MAX_STEPS:
            raise _spent(f"{MAX_STEPS} steps have run in all", {"max_steps": MAX_STEPS})
        self._steps += 1
        await self._give_way()

    async def pause(self) -> None:
        """Gives way where the engine has worked for a while; to be awaited within work whose size the input decides."""
        if time.monotonic() - self._since >= SLICE_S:
            await self._give_way()

    async def _give_way(self) -> None:
        await asyncio.sleep(0)
        self._since = time.monotonic()


def _spent(what: str, details: dict[str, int]) -> InvalidRequest:
    return InvalidRequest(
        f"the workflow is ended: {what}, the most that one execution may have",
        hint="go over fewer values, or divide the work among several executions",
        details=details,
    )
