"""The history of cells: what frontends have run with `store_history`, over kernels and restarts, in the home's
`history.db`.

A context's cells are one session of it. They are written a moment after they come, several together, without their
secrets; nothing is opened before the first of them. Clients with another key see nothing of each other's.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from llmspell_kernel.request import Request
from llmspell_kernel.scripting.context import Context
from llmspell_protocol.background import of_no_request
from llmspell_protocol.errors import InvalidRequest, LlmspellError
from llmspell_protocol.standard_requests import HistoryRequest

if TYPE_CHECKING:
    from llmspell_kernel.services.history.rows import Row
    from llmspell_kernel.storage.database import Database
    from llmspell_profiles.credentials.redaction import Redactor
    from llmspell_profiles.schema.settings import Settings

LONGEST_CODE = 100_000
"""Longer cells are not kept."""
LONGEST_PATTERN = 1_000
"""Characters of what is searched for: a cell takes as much time as both are long, one multiplied by the other."""
LONGEST_OUTPUT = 10_000
MOST_WAITING = 2_000
"""Cells that wait to be written."""
GATHER_S = 0.5
MOST_ASKED = 100_000

log = logging.getLogger(__name__)


class Kept:
    """One cell, and what has become of it."""

    __slots__ = ("_at", "_service", "code", "context", "key_id", "line", "output", "session")

    def __init__(self, service: HistoryService, context: Context, key_id: str, line: int, code: str) -> None:
        self._service = service
        self._at = time.time()
        self.context = context
        self.key_id = key_id
        self.line = line
        self.code = code
        self.output: str | None = None
        self.session: int | None = None
        """Its session once it was written."""

    @property
    def at(self) -> float:
        """When it came, in seconds since 1970."""
        return self._at

    def ended(self, output: str) -> None:
        """The cell has given this."""
        self.output = output[:LONGEST_OUTPUT]
        self._service.changed(self)


class HistoryService:
    """The cells that are kept; belongs to the loop."""

    def __init__(self, settings: Callable[[], Settings], home: Path, environment: Mapping[str, str]) -> None:
        self._settings = settings
        self._path = home / "history.db"
        self._environment = environment
        self._sessions: WeakKeyDictionary[Context, int] = WeakKeyDictionary()
        self._waiting: dict[Kept, None] = {}
        self._dropped = 0
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._opened: Database | None = None
        self._redactor: tuple[Settings, Redactor] | None = None

    def begin(self, context: Context, request: Request, line: int, code: str) -> Kept | None:
        """Keeps a cell that begins; None: it is not kept."""
        if self._most == 0 or len(code) > LONGEST_CODE:
            return None
        if len(self._waiting) >= MOST_WAITING:
            self._dropped += 1
            return None
        kept = Kept(self, context, request.caller.key_id, line, code)
        self.changed(kept)
        return kept

    def changed(self, kept: Kept) -> None:
        """Something of a cell is to be written."""
        self._waiting[kept] = None
        if self._timer is None and self._task is None:
            self._timer = of_no_request(asyncio.get_running_loop().call_later, GATHER_S, self._begin_writing)

    async def find(self, context: Context, key_id: str, wanted: HistoryRequest) -> list[Row]:
        """What a request asks for, the oldest first.

        Raises:
            InvalidRequest: the pattern is too long.
            StorageError, StorageDamaged, StorageVersion, DiskFull, Busy: the database can't be used.
        """
        from llmspell_kernel.services.history import rows

        if wanted.pattern is not None and len(wanted.pattern) > LONGEST_PATTERN:
            raise InvalidRequest(f"a pattern has at most {LONGEST_PATTERN} characters, got {len(wanted.pattern)}")
        await self._flush()
        if not self._path.exists():
            return []
        most = MOST_ASKED if wanted.n is None else max(0, min(wanted.n, MOST_ASKED))
        current = self._sessions.get(context)

        def work(connection: sqlite3.Connection) -> list[Row]:
            if wanted.hist_access_type == "tail":
                return rows.last(connection, key_id, most)
            if wanted.hist_access_type == "search":
                pattern = "*" if wanted.pattern is None else wanted.pattern
                return rows.matching(connection, key_id, pattern, most, unique=wanted.unique)
            session = wanted.session or 0
            if session <= 0:
                found = rows.session_before(connection, key_id, current, -session) if session else current
                if found is None:
                    return []
                session = found
            start = 1 if wanted.start is None else wanted.start
            return rows.lines(connection, key_id, session, start, wanted.stop)

        return await self._database().read(work)

    async def close(self) -> None:
        """Writes what waits, and closes."""
        await self._flush()
        if self._opened is not None:
            await self._opened.close()

    @property
    def _most(self) -> int:
        """How many cells of a key are kept; 0: none is recorded."""
        return self._settings().kernel.history_cells

    def _database(self) -> Database:
        if self._opened is None:
            # Few kernels have a frontend.
            from llmspell_kernel.services.history.tables import SCHEMA
            from llmspell_kernel.storage.database import Database

            self._opened = Database(SCHEMA, self._path)
        return self._opened

    def _redaction(self) -> Redactor:
        settings = self._settings()
        if self._redactor is None or self._redactor[0] is not settings:
            from llmspell_profiles.credentials.settings_secrets import redactor

            self._redactor = (settings, redactor(settings, self._environment))
        return self._redactor[1]

    def _begin_writing(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._task is None and self._waiting:
            self._task = of_no_request(asyncio.get_running_loop().create_task, self._write())

    async def _flush(self) -> None:
        while self._waiting or self._task is not None:
            self._begin_writing()
            if self._task is not None:
                await asyncio.wait((self._task,))

    async def _write(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = list(self._waiting), {}
                try:
                    await self._write_batch(batch)
                except LlmspellError as error:
                    log.warning("%d cells are not in the history: %s", len(batch), error.message)
            if self._dropped:
                log.warning("%d cells are not in the history: too many waited", self._dropped)
                self._dropped = 0
        finally:
            self._task = None

    async def _write_batch(self, batch: list[Kept]) -> None:
        from llmspell_kernel.services.history import rows

        most, redactor = self._most, self._redaction()
        # What the thread needs: nothing of it changes meanwhile.
        cells = [(kept.session, kept.line, kept.key_id, kept.code, kept.output, kept.at) for kept in batch]
        sessions = [self._sessions.get(kept.context) for kept in batch]
        contexts = [id(kept.context) for kept in batch]

        def work(connection: sqlite3.Connection) -> list[int]:
            made: dict[int, int] = {}
            written: list[int] = []
            for (before, line, key_id, code, output, at), known, context in zip(cells, sessions, contexts, strict=True):
                shown = None if output is None else _whole(redactor.text(output))
                if before is not None:
                    if shown is not None:
                        rows.set_output(connection, before, line, shown)
                    written.append(before)
                    continue
                session = made.get(context) if known is None else known
                if session is None:
                    session = made[context] = rows.new_session(connection, at)
                rows.insert(connection, rows.Row(session, line, _whole(redactor.text(code)), shown), key_id, at)
                written.append(session)
            for key_id in {cell[2] for cell in cells}:
                if most:
                    rows.retain(connection, key_id, most)
            return written

        for kept, session in zip(batch, await self._database().write(work), strict=True):
            kept.session = self._sessions[kept.context] = session


def _whole(text: str) -> str:
    """The text with U+FFFD for half characters, which a database does not take."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
