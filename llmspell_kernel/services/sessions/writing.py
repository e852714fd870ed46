"""One database of sessions, and what waits to be written into it: bounded, in order, never waited for by a request."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from llmspell_kernel.services.sessions import entries, rows
from llmspell_kernel.services.sessions.records import Begun, Dropped, Ended, Entry, Target
from llmspell_kernel.services.sessions.tables import SCHEMA
from llmspell_kernel.storage.database import Database, Work
from llmspell_profiles.credentials.redaction import Redactor
from llmspell_protocol.background import of_no_request
from llmspell_protocol.errors import LlmspellError

T = TypeVar("T")

MOST_WAITING = 5_000
"""Entries that may wait for the database."""
MOST_WAITING_CHARACTERS = 256 << 20
"""The same in characters of what they hold, about."""
_BATCH = 200

log = logging.getLogger(__name__)


class Writing:
    """A database of sessions and its queue; belongs to the loop. `path` None: in memory."""

    def __init__(
        self, path: Path | None, *, redactor: Callable[[], Redactor], limits: Callable[[], rows.Limits]
    ) -> None:
        self.path = path
        self._database = Database(SCHEMA, path)
        self._redactor = redactor
        self._limits = limits
        self._waiting: deque[tuple[Entry, int]] = deque()
        self._characters = 0
        self._dropped: Counter[Target] = Counter()
        self._task: asyncio.Task[None] | None = None
        self._handed_over = 0
        self._settled = 0
        """Entries that were written or given up."""
        self._after_batch = asyncio.Event()

    @property
    def place(self) -> str:
        """The file, or `memory`."""
        return "memory" if self.path is None else str(self.path)

    def put(self, entry: Entry) -> bool:
        """Hands over what is to be written; whether there was room for it."""
        size = _size(entry) if isinstance(entry, (Begun, Ended)) else 0
        full = len(self._waiting) >= MOST_WAITING or self._characters + size > MOST_WAITING_CHARACTERS
        if full and isinstance(entry, (Begun, Ended)):
            self._dropped[entry.target] += 1
            return False
        self._waiting.append((entry, size))
        self._characters += size
        self._handed_over += 1
        if self._task is None:
            self._task = of_no_request(asyncio.get_running_loop().create_task, self._write())
        return True

    def drop(self, target: Target) -> None:
        """Counts a step that isn't recorded; the next batch tells its session."""
        self._dropped[target] += 1

    async def read(self, work: Work[T]) -> T:
        """What `work` reads, after everything that waited is written. Raises as `Database.read`."""
        await self.flush()
        return await self._database.read(work)

    async def write(self, work: Work[T]) -> T:
        """What `work` returns, in a transaction, after everything that waited. Raises as `Database.write`."""
        await self.flush()
        return await self._database.write(work)

    async def flush(self) -> None:
        """Waits until everything is written that waits now, or was given up."""
        wanted = self._handed_over
        while self._settled < wanted:
            await self._after_batch.wait()

    async def close(self) -> None:
        """Writes what waits, and closes."""
        while self._task is not None:
            await asyncio.wait((self._task,))
        await self._database.close()

    async def _write(self) -> None:
        try:
            while self._waiting:
                taken = [self._waiting.popleft() for _ in range(min(_BATCH, len(self._waiting)))]
                self._characters -= sum(size for _, size in taken)
                dropped, self._dropped = self._dropped, Counter()
                told = [Dropped(target, count) for target, count in dropped.items()]
                await self._write_batch([*(entry for entry, _ in taken), *told])
                self._settled += len(taken)
                done, self._after_batch = self._after_batch, asyncio.Event()
                done.set()
        finally:
            self._task = None

    async def _write_batch(self, batch: list[Entry]) -> None:
        redactor, limits = self._redactor(), self._limits()
        try:
            await self._database.write(lambda connection: entries.write(connection, batch, redactor, limits))
        except LlmspellError as error:
            self._give_up(batch, error.message)
        except Exception as defect:
            # One entry that can't be written must not take others with it.
            if len(batch) > 1:
                for entry in batch:
                    await self._write_batch([entry])
                return
            log.exception("a defect in what is recorded", exc_info=defect)
            self._give_up(batch, "a defect of llmspell")

    def _give_up(self, batch: list[Entry], why: str) -> None:
        log.warning("%d entries of sessions are not recorded: %s", len(batch), why)
        for entry in batch:
            if isinstance(entry, Dropped):
                self._dropped[entry.target] += entry.steps
            elif isinstance(entry, (Begun, Ended)):
                self._dropped[entry.target] += 1


_LOOKED_AT = 2_000
"""Items of a content whose lengths are added up; of what has more the rest counts as as long."""


def _size(entry: Begun | Ended) -> int:
    """About how many characters an entry holds."""
    left = [entry.content]
    size = seen = 0
    while left and seen < _LOOKED_AT:
        one: Any = left.pop()
        seen += 1
        if isinstance(one, (str, bytes)):
            size += len(one)
        elif isinstance(one, dict):
            left += one.values()
        elif isinstance(one, (list, tuple)):
            left += one
    return size + size * len(left) // max(seen, 1) + 100
