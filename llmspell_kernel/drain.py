"""How a kernel ends: no more work is taken, what runs may finish for a while, the rest is cancelled and answered.

Knows requests, not where they came from.
"""

from __future__ import annotations

import asyncio
import logging

from llmspell_kernel.active_requests import ActiveRequests
from llmspell_kernel.request import Request
from llmspell_protocol.errors import Cancelled

log = logging.getLogger(__name__)

_CANCELLING_S = 2.0
"""How long cancelled work may take to end; a script that doesn't stop is killed after one second."""


class Drain:
    """The one drain of a kernel: begun once, hurried by every later call that leaves less time. Belongs to the loop.

    A kernel that is not `standing` lives inside a command, where its end is no news: its drain logs nothing.
    """

    def __init__(self, requests: ActiveRequests, *, standing: bool = True) -> None:
        self._requests = requests
        self._standing = standing
        self._begun = asyncio.Event()
        self._until = 0.0
        self._keep: set[Request] = set()
        self._limit: asyncio.Timeout | None = None

    @property
    def begun(self) -> bool:
        """Whether the kernel takes no more work."""
        return self._begun.is_set()

    def begin(self, drain_s: float, *, keep: Request | None = None) -> None:
        """Begins, or leaves less time than there was; returns at once. `keep` is about to answer and is let to."""
        until = asyncio.get_running_loop().time() + drain_s
        if keep is not None:
            self._keep.add(keep)
        if self.begun:
            self._hurry(until)
            return
        if self._standing:
            running = self._requests.working - len(self._keep)
            level = logging.INFO if running else logging.DEBUG
            log.log(level, "shutting down; running requests: %d, time for them: %g s", running, drain_s)
        self._until = until
        self._begun.set()

    async def wait_begun(self) -> None:
        """Waits until it begins."""
        await self._begun.wait()

    async def finish(self) -> None:
        """Lets what runs finish until the time is up, and cancels what is left.

        All requests are answered when it returns, except those to `keep`.
        """
        loop = asyncio.get_running_loop()
        began = loop.time()
        if others := self._requests.tasks(besides=self._keep):
            try:
                async with asyncio.timeout_at(self._until) as self._limit:
                    await asyncio.wait(others)
            except TimeoutError:
                pass  # What is left is cancelled below.
        reason = "the kernel is shutting down"
        if waited_s := round(loop.time() - began):
            reason += f" and has waited {waited_s} s for running work"
        for request in self._requests:
            if request not in self._keep and request.parent is None:
                request.cancel(reason)
        if others := self._requests.tasks(besides=self._keep):
            await asyncio.wait(others, timeout=_CANCELLING_S)
        for request in self._requests:
            if request not in self._keep:
                # It does not end; its client is told all the same.
                request.fail(Cancelled(f"cancelled: {reason}"))

    def _hurry(self, until: float) -> None:
        self._until = min(self._until, until)
        if self._limit is not None and not self._limit.expired():
            when = self._limit.when()
            if when is None or until < when:
                self._limit.reschedule(until)
