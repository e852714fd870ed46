"""Where sessions are kept: the databases of a kernel, and which of them has the session that is meant."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from llmspell_kernel.services.sessions import rows
from llmspell_kernel.services.sessions.writing import Writing
from llmspell_profiles.credentials.redaction import Redactor
from llmspell_profiles.credentials.settings_secrets import redactor

if TYPE_CHECKING:
    from llmspell_profiles.schema.settings import Settings


class Stores:
    """The databases of sessions; belongs to the loop."""

    def __init__(self, settings: Callable[[], Settings], environment: Mapping[str, str]) -> None:
        self._settings = settings
        self._environment = environment
        self._opened: dict[Path | None, Writing] = {}
        self._redactor: Redactor | None = None

    def default(self) -> Writing | None:
        """Where what no request has named is recorded; None: nowhere."""
        table = self._settings().runtime.sessions
        if not table.enabled:
            return None
        return self.file() if table.storage_backend == "sqlite" else self._writing(None)

    def file(self) -> Writing:
        """Where sessions are kept that requests name."""
        return self._writing(self._settings().runtime.sessions.path)

    def all(self) -> Sequence[Writing]:
        """The databases that there are; one that nothing has written yet isn't made to be looked at."""
        default, path = self.default(), self._settings().runtime.sessions.path
        if path not in self._opened and path.exists():
            self._writing(path)
        found = list(self._opened.values())
        return found if default is None or default in found else [default, *found]

    async def find(self, key_id: str, wanted: str) -> tuple[Writing, rows.Row]:
        """The one session that is meant, and where it is.

        Raises:
            SessionNotFound: there is none.
            InvalidRequest: there are several.
        """
        limits = self.limits()

        def candidates(connection: sqlite3.Connection) -> list[rows.Row]:
            rows.suspend_idle(connection, limits)
            return rows.candidates(connection, key_id, wanted)

        found = [(writing, row) for writing in self.all() for row in await writing.write(candidates)]
        exact = [(writing, row) for writing, row in found if row.id == wanted.lower()]
        named = [(writing, row) for writing, row in found if row.name == wanted]
        chosen = exact or named or found
        row = rows.the_one([row for _, row in chosen], wanted)
        return next(writing for writing, one in chosen if one.id == row.id), row

    def limits(self) -> rows.Limits:
        """How much of the sessions of one key is kept now."""
        table = self._settings().runtime.sessions
        return rows.Limits(
            sessions=table.max_sessions,
            age_s=float(table.max_age_seconds),
            bytes=table.max_bytes,
            idle_s=float(table.session_timeout_seconds),
        )

    def redaction(self) -> Redactor:
        """What takes secrets out of what is kept."""
        if self._redactor is None:
            self._redactor = redactor(self._settings(), self._environment)
        return self._redactor

    def reconfigure(self) -> None:
        """Keys may be others."""
        self._redactor = None

    async def close(self) -> None:
        """Writes what waits."""
        for writing in self._opened.values():
            await writing.close()

    def _writing(self, path: Path | None) -> Writing:
        if path not in self._opened:
            self._opened[path] = Writing(path, redactor=self.redaction, limits=self.limits)
        return self._opened[path]
