"""From one version of what is kept to another. Knows files by `schemas.py` only."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, NamedTuple

from llmspell_kernel.services.state import schemas
from llmspell_kernel.services.state.copies import Copies
from llmspell_protocol.errors import ConfigError, InvalidRequest

if TYPE_CHECKING:
    from llmspell_kernel.services.state.service import StateService

log = logging.getLogger(__name__)


class Migration(NamedTuple):
    """What a migration has done."""

    before: int
    version: int
    changed: int


class SchemaStatus(NamedTuple):
    """The version of a client's entries, and all that the schema directory has."""

    current: int
    known: tuple[int, ...]

    @property
    def targets(self) -> tuple[int, ...]:
        """Those that it can be brought to."""
        return tuple(one for one in self.known if one > self.current)


class Migrations:
    """The versions of what a kernel's clients keep; belongs to the loop."""

    def __init__(self, state: StateService, copies: Copies) -> None:
        self._state = state
        self._copies = copies

    async def status(self, key_id: str) -> SchemaStatus:
        """The version of a client's entries, and those that there are.

        Raises:
            ConfigError: a file of the schema directory is wrong.
            Others as `StateService.get`.
        """
        known = await self._state.schema_versions()
        current = await self._state.open().read(lambda connection: schemas.version_of(connection, key_id))
        return SchemaStatus(current, tuple(known))

    async def migrate(self, key_id: str, version: int) -> Migration:
        """Brings a client's entries to a version, all of them or none, after a backup where the settings say so.

        Raises:
            ConfigError: migrations are switched off, or a file of the schema directory is wrong.
            InvalidRequest: there is no such version, or it lies behind; an entry would not fit it.
            Others as `Copies.back_up`.
        """
        if not self._state.settings.migration_enabled:
            raise ConfigError(
                "migrations of state are switched off",
                hint="set runtime.state_persistence.migration_enabled = true",
                details={"key": "runtime.state_persistence.migration_enabled"},
            )
        status = await self.status(key_id)
        if version == status.current:
            return Migration(version, version, 0)
        if version not in status.targets:
            raise InvalidRequest(
                f"state has version {status.current} and can't be brought to {version}",
                hint=f"later ones: {', '.join(map(str, status.targets)) or 'none'}",
                details={"version": version, "current": status.current},
            )
        if self._state.settings.backup_on_migration:
            await self._copies.back_up(key_id, f"before-version-{version}")
        known, now_ms = await self._state.schema_versions(), self._state.now_ms()
        changed = await self._state.write(
            lambda connection: schemas.migrate(connection, known, key_id, version, now_ms)
        )
        log.info("state was migrated from version %d to %d; entries changed: %d", status.current, version, changed)
        return Migration(status.current, version, changed)
