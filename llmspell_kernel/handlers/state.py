"""`state_request`: one method an action, translated for the state service."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from llmspell_kernel.area_handler import AreaHandler
from llmspell_kernel.request import Request
from llmspell_kernel.services.events.service import EventsService
from llmspell_kernel.services.hooks.service import HooksService
from llmspell_kernel.services.state.places import scope_of, scopes_of
from llmspell_kernel.services.state.service import START, Entry, StateService, Wanted
from llmspell_kernel.services.state.watched import WatchedState
from llmspell_kernel.times import time_text
from llmspell_protocol.areas.action import Empty
from llmspell_protocol.areas.state import (
    BackupCreate,
    BackupNamed,
    BackupPrune,
    BackupPruneReply,
    BackupReply,
    BackupRestoreReply,
    BackupsReply,
    BackupVerifyReply,
    StateBackup,
    StateCountReply,
    StateDelete,
    StateDeleteReply,
    StateEntry,
    StateGetReply,
    StateImport,
    StateKept,
    StateKeys,
    StateKeysReply,
    StateMigrate,
    StateMigrateReply,
    StatePlace,
    StateSchemaReply,
    StateScopes,
    StateScopesReply,
    StateSelection,
    StateSet,
    StateSetMany,
    StateSetReply,
    StateShow,
    StateShowReply,
)

if TYPE_CHECKING:
    from llmspell_kernel.services.state.copies import Copies
    from llmspell_kernel.services.state.descriptions import Backup
    from llmspell_kernel.services.state.migrations import Migrations


class StateHandler(AreaHandler):
    """Answers `state_request`."""

    def __init__(self, state: StateService, hooks: HooksService, events: EventsService) -> None:
        self._state = state
        self._watched = WatchedState(state, hooks, events)

    async def get(self, request: Request, wanted: StatePlace) -> StateGetReply:
        """One entry."""
        found = await self._watched.get(request, wanted.scope, wanted.key)
        return StateGetReply(entry=None if found is None else _shown(found), kept=self._kept())

    async def set(self, request: Request, wanted: StateSet) -> StateSetReply:
        """Writes a value."""
        return StateSetReply(version=await self._watched.set(request, wanted))

    async def set_many(self, request: Request, wanted: StateSetMany) -> StateCountReply:
        """Writes several values."""
        count = await self._watched.set_many(request, _wanted(wanted))
        return StateCountReply(count=count, kept=self._kept())

    async def import_(self, request: Request, wanted: StateImport) -> StateCountReply:
        """Writes values in the place of others."""
        items = _wanted(wanted)
        scopes = {scope_of(item.scope) for item in items}
        instead_of = [*scopes_of(wanted.scope, wanted.kinds), *((name, name) for name in scopes)]
        count = await self._watched.set_many(request, items, instead_of=() if wanted.merge else instead_of)
        return StateCountReply(count=count, kept=self._kept())

    async def delete(self, request: Request, wanted: StateDelete) -> StateDeleteReply:
        """Removes one entry."""
        return StateDeleteReply(deleted=await self._watched.delete(request, wanted))

    async def clear(self, request: Request, wanted: StateSelection) -> StateCountReply:
        """Removes all entries of a scope, or of scopes."""
        return StateCountReply(count=await self._watched.clear(request, wanted), kept=self._kept())

    async def show(self, request: Request, wanted: StateShow) -> StateShowReply:
        """A page of entries."""
        await self._watched.look(request, ", ".join(wanted.kinds) or scope_of(wanted.scope), "show")
        after = START if wanted.after is None else (scope_of(wanted.after.scope), wanted.after.key)
        found, after_those = await self._state.page(request.caller.key_id, wanted.scope, wanted.kinds, after)
        return StateShowReply(
            entries=[_shown(one) for one in found],
            count=len(found),
            after=None if after_those is None else StatePlace(scope=after_those[0], key=after_those[1]),
            kept=self._kept(),
        )

    async def keys(self, request: Request, wanted: StateKeys) -> StateKeysReply:
        """A page of keys."""
        await self._watched.look(request, scope_of(wanted.scope), "keys")
        found, after = await self._state.keys_page(request.caller.key_id, wanted.scope, wanted.after or "")
        return StateKeysReply(keys=found, count=len(found), after=after)

    async def scopes(self, request: Request, wanted: StateScopes) -> StateScopesReply:
        """A page of scopes."""
        found, after = await self._state.scopes_page(request.caller.key_id, wanted.after or "")
        return StateScopesReply(scopes=found, count=len(found), after=after)

    async def backup(self, request: Request, wanted: BackupCreate) -> BackupReply:
        """Makes a backup."""
        made = await self._copies.back_up(request.caller.key_id, wanted.name)
        return BackupReply(backup=_backup(made, request))

    async def backups(self, request: Request, wanted: Empty) -> BackupsReply:
        """All backups."""
        found = await self._copies.all(request.caller.key_id)
        return BackupsReply(
            backups=[_backup(one, request) for one in found], count=len(found), bytes=sum(one.bytes for one in found)
        )

    async def restore(self, request: Request, wanted: BackupNamed) -> BackupRestoreReply:
        """Puts a backup in the place of what is there."""
        count = await self._copies.restore(request.caller.key_id, wanted.backup)
        return BackupRestoreReply(backup=wanted.backup, count=count)

    async def verify(self, request: Request, wanted: BackupNamed) -> BackupVerifyReply:
        """Whether a backup is what was made."""
        problem = await self._copies.problem(request.caller.key_id, wanted.backup)
        return BackupVerifyReply(backup=wanted.backup, valid=problem is None, problem=problem)

    async def prune(self, request: Request, wanted: BackupPrune) -> BackupPruneReply:
        """Removes the asker's backups that are no longer kept."""
        removed, kept = await self._copies.prune(request.caller.key_id, dry_run=wanted.dry_run)
        return BackupPruneReply(removed=[one.id for one in removed], kept=kept, bytes=sum(one.bytes for one in removed))

    async def schema(self, request: Request, wanted: Empty) -> StateSchemaReply:
        """The versions of what is kept."""
        status = await self._migrations.status(request.caller.key_id)
        return StateSchemaReply(
            current=status.current,
            versions=status.known,
            targets=status.targets,
            enabled=self._state.settings.migration_enabled,
        )

    async def migrate(self, request: Request, wanted: StateMigrate) -> StateMigrateReply:
        """Brings what is kept to another version."""
        status = await self._migrations.status(request.caller.key_id)
        if wanted.version in status.targets:
            await self._watched.around_migration(request, status.current, wanted.version)
        done = await self._migrations.migrate(request.caller.key_id, wanted.version)
        return StateMigrateReply(before=done.before, version=done.version, changed=done.changed)

    # Backups and versions are seldom asked for.

    @cached_property
    def _copies(self) -> Copies:
        from llmspell_kernel.services.state.copies import Copies

        return Copies(self._state)

    @cached_property
    def _migrations(self) -> Migrations:
        from llmspell_kernel.services.state.migrations import Migrations

        return Migrations(self._state, self._copies)

    def _kept(self) -> StateKept:
        path = self._state.path
        return StateKept(backend="memory" if path is None else "sqlite", path=None if path is None else str(path))


def _backup(backup: Backup, request: Request) -> StateBackup:
    return StateBackup(
        backup=backup.id,
        created_at=time_text(backup.created_ms / 1000),
        bytes=backup.bytes,
        count=backup.count(request.caller.key_id),
        compression=backup.compression,
    )


def _wanted(wanted: StateSetMany) -> list[Wanted]:
    return [Wanted(item.scope or wanted.scope, item.key, item.value, wanted.ttl_s) for item in wanted.entries]


def _shown(entry: Entry) -> StateEntry:
    return StateEntry(
        scope=entry.scope,
        key=entry.key,
        value=entry.value,
        version=entry.version,
        changed_at=time_text(entry.changed_ms / 1000),
        expires_at=None if entry.expires_ms is None else time_text(entry.expires_ms / 1000),
    )
