"""Turns of the event loop, for tests that look at what has happened when every task waits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

_TURNS = 20


async def settle() -> None:
    """Lets every task run until all of them wait for something; enough for chains of a few steps."""
    for _ in range(_TURNS):
        await asyncio.sleep(0)


async def until(holds: Callable[[], bool], *, deadline_s: float = 60.0) -> None:
    """Lets the loop turn until something holds that nothing announces."""
    async with asyncio.timeout(deadline_s):
        while not holds():  # noqa: ASYNC110
            await asyncio.sleep(0)
