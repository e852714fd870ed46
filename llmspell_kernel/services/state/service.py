"""State: reads and writes of entries, each for a key's clients. Knows neither requests nor scripts.

Values are forms (`llmspell_protocol.kept_values`): `kept(value)` makes one of plain data. An entry has a version, which
every write changes; no version comes twice.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from llmspell_kernel.services.state import entries
from llmspell_kernel.services.state.entries import Row, Selection
from llmspell_kernel.services.state.places import Place, place_of, scope_of, scopes_of
from llmspell_kernel.services.state.tables import SCHEMA
from llmspell_kernel.storage.database import Database, Work
from llmspell_protocol.errors import ConfigError, Conflict, InvalidRequest
from llmspell_protocol.kept_values import NULL, problems_of_form

if TYPE_CHECKING:
    from llmspell_kernel.services.state.schemas import Schemas, SchemaVersion
    from llmspell_profiles.schema.settings import Settings
    from llmspell_profiles.schema.state import StateSettings

T = TypeVar("T")

ABSENT = 0
"""As the version that a write expects: there must be no entry."""
LONGEST_TTL_S = 100 * 365 * 86_400
SWEEP_EVERY_MS = 60_000
START = ("", "")
"""Where the first page begins."""


class Entry(NamedTuple):
    """One value; times are milliseconds since 1970, and `expires_ms` None: it stays."""

    scope: str
    key: str
    value: Any
    version: int
    changed_ms: int
    expires_ms: int | None


class Wanted(NamedTuple):
    """An entry that is to be written."""

    scope: str
    key: str
    value: Any
    ttl_s: float | None = None


class StateService:
    """The entries of one kernel's state, opened when they are first asked for; belongs to the loop."""

    def __init__(self, settings: Callable[[], Settings], clock: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self._clock = clock
        self._database: Database | None = None
        self._next_sweep_ms = 0
        self._is_changed = False
        self._schemas: Schemas | None = None

    @property
    def path(self) -> Path | None:
        """The file that has the entries; None: memory."""
        settings = self.settings
        return settings.path if settings.backend_type == "sqlite" else None

    @property
    def settings(self) -> StateSettings:
        """What is configured."""
        return self._settings().runtime.state_persistence

    async def get(self, key_id: str, scope: str, key: str) -> Entry | None:
        """The entry; None: there is none. One that has expired is gone for good before this returns.

        Raises:
            InvalidRequest: there can be no such scope or key.
            ConfigError: state is switched off.
            StorageError, Busy, DiskFull: as `Database.write`.
        """
        place = place_of(key_id, scope, key)
        row = await self.open().read(lambda connection: entries.read(connection, place))
        found = await self._live(key_id, [] if row is None else [row])
        return _entry(found[0]) if found else None

    async def set(
        self,
        key_id: str,
        scope: str,
        key: str,
        value: Any,
        *,
        ttl_s: float | None = None,
        keep_ttl: bool = False,
        version: int | None = None,
    ) -> int:
        """Puts a value in the place of what was there; returns its version.

        `ttl_s` seconds from now it is gone, or when what was there would have been (`keep_ttl`). With `version` it is
        written only where the entry still has this one (`ABSENT`: where there is none).

        Raises:
            InvalidRequest: there can be no such scope or key, the value is no form, or too large.
            Conflict: the entry has another version.
            Others as `get`.
        """
        place = place_of(key_id, scope, key)
        return await self.set_at(place, value, ttl_s=ttl_s, keep_ttl=keep_ttl, version=version)

    async def set_at(
        self, place: Place, value: Any, *, ttl_s: float | None, keep_ttl: bool, version: int | None
    ) -> int:
        """The same, at a place."""
        text = self._text(place, value)
        now_ms = self.now_ms()
        expires_ms = _expiry(ttl_s, now_ms)

        known = await self.schema_versions()

        def work(connection: sqlite3.Connection) -> int:
            kept_ms = expires_ms
            if version is not None or keep_ttl:
                row = entries.read(connection, place)
                if version is not None:
                    _demand_version(row, version, now_ms, place)
                if keep_ttl and row is not None and not row.is_expired(now_ms):
                    kept_ms = row.expires_ms
            _demand_fits(connection, known, place, value)
            return entries.write(connection, place, text, now_ms, kept_ms)

        return await self.write(work)

    async def set_many(
        self, key_id: str, wanted: Sequence[Wanted], *, instead_of: Sequence[tuple[str, str]] = ()
    ) -> int:
        """Writes all of these or none, in the place of everything in the scopes `instead_of` (ranges, as of
        `scopes_of`); returns how many. Raises as `set`."""
        now_ms = self.now_ms()
        rows = []
        for one in wanted:
            place = place_of(key_id, one.scope, one.key)
            rows.append((place, one.value, self._text(place, one.value), _expiry(one.ttl_s, now_ms)))
        known = await self.schema_versions()

        def work(connection: sqlite3.Connection) -> None:
            for one in instead_of:
                entries.clear(connection, Selection(key_id, [one]))
            for place, value, text, expires_ms in rows:
                _demand_fits(connection, known, place, value)
                entries.write(connection, place, text, now_ms, expires_ms)

        await self.write(work)
        return len(rows)

    async def delete(self, key_id: str, scope: str, key: str, *, version: int | None = None) -> bool:
        """Removes an entry; whether there was one. Raises as `set`."""
        place = place_of(key_id, scope, key)
        now_ms = self.now_ms()

        def work(connection: sqlite3.Connection) -> bool:
            row = entries.read(connection, place)
            if version is not None:
                _demand_version(row, version, now_ms, place)
            if row is None:
                return False
            entries.remove(connection, place)
            return not row.is_expired(now_ms)

        return await self.write(work)

    async def clear(self, key_id: str, scope: str, kinds: Sequence[str] = ()) -> int:
        """Removes all entries of a scope, or of the scopes of these kinds; returns how many. Raises as `get`."""
        wanted, now_ms = Selection(key_id, scopes_of(scope, kinds)), self.now_ms()

        def work(connection: sqlite3.Connection) -> int:
            while entries.sweep(connection, now_ms):
                pass
            return entries.clear(connection, wanted)

        return await self.write(work)

    async def page(
        self, key_id: str, scope: str, kinds: Sequence[str] = (), after: tuple[str, str] = START
    ) -> tuple[list[Entry], tuple[str, str] | None]:
        """As many entries behind `after` as a message holds, by scope and key, and behind which the next ones are;
        None: none are. Raises as `get`."""
        wanted = Selection(key_id, scopes_of(scope, kinds))
        rows, more = await self.open().read(lambda connection: entries.page(connection, wanted, after))
        return [_entry(row) for row in await self._live(key_id, rows)], (rows[-1].scope, rows[-1].key) if more else None

    async def keys(self, key_id: str, scope: str) -> list[str]:
        """All keys of a scope, sorted. Raises as `get`."""
        found, after = await self.keys_page(key_id, scope)
        while after is not None:
            some, after = await self.keys_page(key_id, scope, after)
            found += some
        return found

    async def keys_page(self, key_id: str, scope: str, after: str = "") -> tuple[list[str], str | None]:
        """As many keys behind `after` as a message holds, and behind which the next ones are. Raises as `get`."""
        name = scope_of(scope)
        rows = await self.open().read(
            lambda connection: entries.names(connection, key_id, name, after, entries.PAGE_ROWS)
        )
        keys = [row.key for row in await self._live(key_id, rows)]
        return keys, rows[-1].key if len(rows) == entries.PAGE_ROWS else None

    async def scopes_page(self, key_id: str, after: str = "") -> tuple[list[str], str | None]:
        """As many scopes with entries behind `after` as a message holds, and behind which the next ones are. Raises as
        `get`."""
        now_ms = self.now_ms()
        found = await self.open().read(
            lambda connection: entries.scopes(connection, key_id, after, now_ms, entries.PAGE_ROWS)
        )
        return found, found[-1] if len(found) == entries.PAGE_ROWS else None

    async def schema_versions(self) -> Mapping[int, SchemaVersion]:
        """What values have to look like, by version of the schema directory; raises `ConfigError`."""
        directory = self.settings.schema_directory
        if directory is None:
            return {}
        if self._schemas is None:
            # Few have schemas.
            from llmspell_kernel.services.state.schemas import Schemas

            self._schemas = Schemas(directory)
        return await asyncio.to_thread(lambda found: found.versions, self._schemas)

    async def close(self) -> None:
        """Closes the database, and backs up before where the settings say so and anything was written."""
        if self._database is None:
            return
        if self._is_changed and self.settings.backup_enabled:
            from llmspell_kernel.services.state.copies import back_up_at_the_end

            await back_up_at_the_end(self)
        await self._database.close()

    def open(self) -> Database:
        """The database.

        Raises:
            ConfigError: state is switched off.
        """
        if not self.settings.enabled:
            raise ConfigError(
                "state is switched off",
                hint="set runtime.state_persistence.enabled = true",
                details={"key": "runtime.state_persistence.enabled"},
            )
        if self._database is None:
            self._database = Database(SCHEMA, self.path)
        return self._database

    def now_ms(self) -> int:
        """The machine's clock, in milliseconds since 1970."""
        return int(self._clock() * 1000)

    async def write(self, work: Work[T]) -> T:
        """Writes, and now and then removes some of what has expired."""
        self._is_changed = True
        now_ms = self.now_ms()
        if now_ms < self._next_sweep_ms <= now_ms + SWEEP_EVERY_MS:
            return await self.open().write(work)

        def with_sweep(connection: sqlite3.Connection) -> tuple[T, int]:
            return work(connection), entries.sweep(connection, now_ms)

        result, swept = await self.open().write(with_sweep)
        # Where there are more, the next write goes on.
        self._next_sweep_ms = now_ms if swept == entries.SWEPT_AT_ONCE else now_ms + SWEEP_EVERY_MS
        return result

    async def _live(self, key_id: str, rows: list[Row]) -> list[Row]:
        """Those that have not expired; the others are gone for good: the clock may be set back."""
        now_ms = self.now_ms()
        expired = [row for row in rows if row.is_expired(now_ms)]
        if not expired:
            return rows
        await self.open().write(lambda connection: entries.remove_expired(connection, key_id, expired))
        return [row for row in rows if not row.is_expired(now_ms)]

    def _text(self, place: Place, value: Any) -> str:
        problem = next(problems_of_form(value, "value"), None)
        if problem is not None:
            raise InvalidRequest(f"the value of state key '{place.key}' can't be kept: {problem[0]} {problem[1]}")
        form = NULL if value is None else value
        text = json.dumps(form, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        most = self.settings.max_state_size_bytes
        if len(text) * 4 > most and (size := len(text.encode())) > most:
            raise InvalidRequest(
                f"the value of state key '{place.key}' has {size} bytes as JSON, and may have {most}",
                hint="keep it in several keys, or raise runtime.state_persistence.max_state_size_bytes",
                details={"key": place.key, "scope": place.scope, "bytes": size, "limit_bytes": most},
            )
        return text


def _demand_fits(connection: sqlite3.Connection, known: Mapping[int, SchemaVersion], place: Place, value: Any) -> None:
    if known:
        from llmspell_kernel.services.state.schemas import demand_fits

        demand_fits(connection, known, place, value)


def _expiry(ttl_s: float | None, now_ms: int) -> int | None:
    if ttl_s is None:
        return None
    if not 0 < ttl_s <= LONGEST_TTL_S:
        raise InvalidRequest(
            f"ttl has to be more than 0 and at most {LONGEST_TTL_S} seconds, got {ttl_s:g}", details={"ttl_s": ttl_s}
        )
    return now_ms + max(1, round(ttl_s * 1000))


def _entry(row: Row) -> Entry:
    return Entry(row.scope, row.key, json.loads(row.text), row.version, row.changed_ms, row.expires_ms)


def _demand_version(row: Row | None, version: int, now_ms: int, place: Place) -> None:
    found = ABSENT if row is None or row.is_expired(now_ms) else row.version
    if found != version:
        raise Conflict(
            f"state key '{place.key}' was changed meanwhile by another writer",
            hint="read it again, and write what follows from that; State.update does so by itself",
            details={"key": place.key, "scope": place.scope, "version": found, "expected": version},
        )
