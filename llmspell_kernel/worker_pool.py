"""A pool of worker processes that answer one call at a time each, started when they are needed.

So many calls run at the same time, further ones wait in the order they came. A call that is given up (cancelled, or
too long) ends its process, with all that this has started: what computes in it can't be stopped otherwise. A few idle
processes are kept for a while. The modules go on guarded (`orphans.go_on_guarded`). Knows no calls and no answers;
belongs to one event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from llmspell_kernel.process_tree import end_guarded, kill_tree
from llmspell_protocol.background import of_no_request
from llmspell_protocol.calls import Calls
from llmspell_protocol.child import Child
from llmspell_protocol.errors import Unavailable

_GRACE_S = 5.0
"""What a worker's guard gets to end it; it has its own hands, and only a stopped one needs more."""


class Lease:
    """One worker for one call; `spoil` it where it can't be used again."""

    def __init__(self, calls: Calls) -> None:
        self.calls = calls
        self.is_sound = True

    def spoil(self) -> None:
        """The process ends with the lease."""
        self.is_sound = False


class WorkerPool:
    """At most `size` processes of `python -m module`; `kept` of them stay idle for `kept_s`."""

    def __init__(
        self, module: str, *, log_path: Path, size: int, memory_bytes: int, kept: int = 1, kept_s: float = 60.0
    ) -> None:
        self._module = module
        self._log_path = log_path
        self._memory_bytes = memory_bytes
        self._kept = kept
        self._kept_s = kept_s
        self._size = size
        self._places = asyncio.Semaphore(size)
        self._closed = False
        self._running: dict[Child, None] = {}
        self._idle: list[Calls] = []
        self._rest: asyncio.TimerHandle | None = None

    @property
    def pids(self) -> list[int]:
        """The processes that run, oldest first."""
        return [child.pid for child in self._running]

    @property
    def is_full(self) -> bool:
        """Whether a lease has to wait for a place."""
        return self._places.locked()

    def prepare(self) -> None:
        """Starts a process, if there is no idle one that lives, and a place for one: a call will come."""
        if not self._closed and (self._idle or len(self._running) < self._size):
            self._keep(self._take())

    @asynccontextmanager
    async def lease(self) -> AsyncIterator[Lease]:
        """A worker for one call, after a wait for a place. One whose call has not ended is ended with the block.

        Raises:
            Unavailable: the pool was closed meanwhile.
        """
        async with self._places:
            if self._closed:
                raise Unavailable("the kernel is ending")
            lease = Lease(self._take())
            try:
                yield lease
            finally:
                if lease.is_sound and not self._closed and len(self._idle) < self._kept and not len(lease.calls):
                    self._keep(lease.calls)
                else:
                    self._end(lease.calls.child)

    async def close(self) -> None:
        """Ends the processes; calls that wait for a place fail."""
        self._closed = True
        if self._rest is not None:
            self._rest.cancel()
        self._idle.clear()
        running = list(self._running)
        for child in running:
            self._end(child)
        if running:
            await asyncio.wait([child.exited for child in running])

    def _take(self) -> Calls:
        while self._idle:
            calls = self._idle.pop()
            if calls.exit_status is None:
                return calls
        return self._start()

    def _start(self) -> Calls:
        child = Child.spawn(
            self._module,
            environment={},
            log_path=self._log_path,
            memory_bytes=self._memory_bytes,
            kill=self._end_process,
        )
        self._running[child] = None
        child.exited.add_done_callback(lambda _: self._running.pop(child, None))
        return Calls(child)

    def _end_process(self, pid: int) -> None:
        end_guarded(pid)
        of_no_request(asyncio.get_running_loop().call_later, _GRACE_S, self._kill, pid)

    def _kill(self, pid: int) -> None:
        for child in tuple(self._running):
            if child.pid == pid and child.process.poll() is None:
                kill_tree(pid)

    def _keep(self, calls: Calls) -> None:
        self._idle.append(calls)
        if self._rest is not None:
            self._rest.cancel()
        self._rest = of_no_request(asyncio.get_running_loop().call_later, self._kept_s, self._end_idle)

    def _end_idle(self) -> None:
        while self._idle:
            self._end(self._idle.pop().child)

    def _end(self, child: Child) -> None:
        if child.alive:
            child.kill()
