"""What has expired goes for good once in a while; no search has found it in the meantime."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from llmspell_kernel.services.rag.collections import Collections
from llmspell_protocol.background import of_no_request
from llmspell_protocol.errors import LlmspellError
from llmspell_protocol.rag.ops import Deleted, Expire

EVERY_S = 60.0


class Sweeping:
    """Removes what has expired, at most once in `EVERY_S`; belongs to the loop."""

    def __init__(self, collections: Collections, clock: Callable[[], float] = time.monotonic) -> None:
        self._collections = collections
        self._clock = clock
        self._next = 0.0
        self._task: asyncio.Task[Any] | None = None

    def look(self) -> None:
        """Begins, where the last time is long enough ago."""
        if self._clock() < self._next or (self._task is not None and not self._task.done()):
            return
        self._next = self._clock() + EVERY_S
        self._task = of_no_request(asyncio.get_running_loop().create_task, self._sweep())

    async def close(self) -> None:
        """Ends what runs."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _sweep(self) -> None:
        try:
            await self._collections.ask(Expire(), Deleted)
        except LlmspellError:
            self._next = 0.0  # The next operation tells what is wrong.
