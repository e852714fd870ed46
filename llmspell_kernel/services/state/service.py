"""State: reads and writes of entries, for whoever asks. Knows neither requests nor scripts.

Values are forms (`llmspell_protocol.kept_values`): `kept(value)` makes one of plain data. An entry has a version, which
every write changes; no version comes twice.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from llmspell_kernel.services.state import entries
from llmspell_kernel.services.state.places import Place, place_of, scope_of
from llmspell_kernel.services.state.tables import SCHEMA
from llmspell_kernel.storage.database import Database
from llmspell_protocol.errors import ConfigError, Conflict, InvalidRequest
from llmspell_protocol.kept_values import problems_of_form

if TYPE_CHECKING:
    from llmspell_profiles.schema.settings import Settings

ABSENT = 0
"""As the version that a write expects: there must be no entry."""
LONGEST_TTL_S = 100 * 365 * 86_400


class Entry(NamedTuple):
    """One value; times are milliseconds since 1970, and `expires_ms` None: it stays."""

    scope: str
    key: str
    value: Any
    version: int
    changed_ms: int
    expires_ms: int | None


class StateService:
    """The entries of one kernel's state, opened when they are first asked for; belongs to the loop."""

    def __init__(self, settings: Callable[[], Settings], clock: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self._clock = clock
        self._database: Database | None = None

    async def get(self, key_id: str, scope: str, key: str) -> Entry | None:
        """The entry; None: there is none. One that has expired is gone for good before this returns.

        Raises:
            InvalidRequest: there can be no such scope or key.
            ConfigError: state is switched off.
            StorageError, Busy, DiskFull: as `Database.write`.
        """
        place = place_of(key_id, scope, key)
        row = await self._open().read(lambda connection: entries.read(connection, place))
        if row is None:
            return None
        if row.is_expired(self._now_ms()):
            await self._open().write(lambda connection: entries.remove_expired(connection, key_id, [row]))
            return None
        return _entry(row)

    async def set(
        self, key_id: str, scope: str, key: str, value: Any, *, ttl_s: float | None = None, version: int | None = None
    ) -> int:
        """Puts a value in the place of what was there; returns its version.

        `ttl_s` seconds from now it is gone. With `version` it is written only where the entry still has this one
        (`ABSENT`: where there is none).

        Raises:
            InvalidRequest: there can be no such scope or key, the value is no form, or too large.
            Conflict: the entry has another version.
            Others as `get`.
        """
        place = place_of(key_id, scope, key)
        text = self._text(place, value)
        now_ms, expires_ms = self._times(ttl_s)

        def work(connection: sqlite3.Connection) -> int:
            if version is not None:
                _demand_version(entries.read(connection, place), version, now_ms, place)
            return entries.write(connection, place, text, now_ms, expires_ms)

        return await self._open().write(work)

    async def delete(self, key_id: str, scope: str, key: str, *, version: int | None = None) -> bool:
        """Removes an entry; whether there was one. Raises as `set`."""
        place = place_of(key_id, scope, key)
        now_ms = self._now_ms()

        def work(connection: sqlite3.Connection) -> bool:
            row = entries.read(connection, place)
            if version is not None:
                _demand_version(row, version, now_ms, place)
            if row is None:
                return False
            entries.remove(connection, place)
            return not row.is_expired(now_ms)

        return await self._open().write(work)

    async def keys(self, key_id: str, scope: str) -> list[str]:
        """The keys of a scope, sorted. Raises as `get`."""
        name, now_ms = scope_of(scope), self._now_ms()
        found = await self._open().read(lambda connection: entries.names(connection, key_id, name))
        if any(row.is_expired(now_ms) for row in found):
            expired = [row for row in found if row.is_expired(now_ms)]
            await self._open().write(lambda connection: entries.remove_expired(connection, key_id, expired))
        return [row.key for row in found if not row.is_expired(now_ms)]

    async def close(self) -> None:
        """Closes the database."""
        if self._database is not None:
            await self._database.close()

    def _open(self) -> Database:
        settings = self._settings().runtime.state_persistence
        if not settings.enabled:
            raise ConfigError(
                "state is switched off",
                hint="set runtime.state_persistence.enabled = true",
                details={"key": "runtime.state_persistence.enabled"},
            )
        if self._database is None:
            self._database = Database(SCHEMA, settings.path if settings.backend_type == "sqlite" else None)
        return self._database

    def _now_ms(self) -> int:
        return int(self._clock() * 1000)

    def _times(self, ttl_s: float | None) -> tuple[int, int | None]:
        now_ms = self._now_ms()
        if ttl_s is None:
            return now_ms, None
        if not 0 < ttl_s <= LONGEST_TTL_S:
            raise InvalidRequest(
                f"ttl has to be more than 0 and at most {LONGEST_TTL_S} seconds, got {ttl_s:g}",
                details={"ttl_s": ttl_s},
            )
        return now_ms, now_ms + max(1, round(ttl_s * 1000))

    def _text(self, place: Place, value: Any) -> str:
        problem = next(problems_of_form(value, "value"), None)
        if problem is not None:
            raise InvalidRequest(f"the value of state key '{place.key}' can't be kept: {problem[0]} {problem[1]}")
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        most = self._settings().runtime.state_persistence.max_state_size_bytes
        if len(text) * 4 > most and (size := len(text.encode())) > most:
            raise InvalidRequest(
                f"the value of state key '{place.key}' has {size} bytes as JSON, and may have {most}",
                hint="keep it in several keys, or raise runtime.state_persistence.max_state_size_bytes",
                details={"key": place.key, "scope": place.scope, "bytes": size, "limit_bytes": most},
            )
        return text


def _entry(row: entries.Row) -> Entry:
    return Entry(row.scope, row.key, json.loads(row.text), row.version, row.changed_ms, row.expires_ms)


def _demand_version(row: entries.Row | None, version: int, now_ms: int, place: Place) -> None:
    found = ABSENT if row is None or row.is_expired(now_ms) else row.version
    if found != version:
        raise Conflict(
            f"state key '{place.key}' was changed by another",
            hint="read it again, and write what follows from that; State.update does so by itself",
            details={"key": place.key, "scope": place.scope, "version": found, "expected": version},
        )
