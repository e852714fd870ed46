"""`state_request`: one method an action, translated for the state service."""

from __future__ import annotations

from datetime import UTC, datetime

from llmspell_kernel.area_handler import AreaHandler
from llmspell_kernel.request import Request
from llmspell_kernel.services.state.places import scope_of
from llmspell_kernel.services.state.service import START, Entry, StateService, Wanted
from llmspell_protocol.areas.state import (
    StateCountReply,
    StateDelete,
    StateDeleteReply,
    StateEntry,
    StateGetReply,
    StateImport,
    StateKept,
    StateKeys,
    StateKeysReply,
    StatePlace,
    StateScopes,
    StateScopesReply,
    StateSelection,
    StateSet,
    StateSetMany,
    StateSetReply,
    StateShow,
    StateShowReply,
)


class StateHandler(AreaHandler):
    """Answers `state_request`."""

    def __init__(self, state: StateService) -> None:
        self._state = state

    async def get(self, request: Request, wanted: StatePlace) -> StateGetReply:
        """One entry."""
        found = await self._state.get(request.caller.key_id, wanted.scope, wanted.key)
        return StateGetReply(entry=None if found is None else _shown(found), kept=self._kept())

    async def set(self, request: Request, wanted: StateSet) -> StateSetReply:
        """Writes a value."""
        version = await self._state.set(
            request.caller.key_id,
            wanted.scope,
            wanted.key,
            wanted.value,
            ttl_s=wanted.ttl_s,
            keep_ttl=wanted.keep_ttl,
            version=wanted.version,
        )
        return StateSetReply(version=version)

    async def set_many(self, request: Request, wanted: StateSetMany) -> StateCountReply:
        """Writes several values."""
        return StateCountReply(
            count=await self._state.set_many(request.caller.key_id, _wanted(wanted)), kept=self._kept()
        )

    async def import_(self, request: Request, wanted: StateImport) -> StateCountReply:
        """Writes values in the place of others."""
        items = _wanted(wanted)
        instead_of = [] if wanted.merge else [wanted.scope, *(item.scope for item in items)]
        count = await self._state.set_many(request.caller.key_id, items, instead_of=instead_of)
        return StateCountReply(count=count, kept=self._kept())

    async def delete(self, request: Request, wanted: StateDelete) -> StateDeleteReply:
        """Removes one entry."""
        key_id = request.caller.key_id
        deleted = await self._state.delete(key_id, wanted.scope, wanted.key, version=wanted.version)
        return StateDeleteReply(deleted=deleted)

    async def clear(self, request: Request, wanted: StateSelection) -> StateCountReply:
        """Removes all entries of a scope, or of scopes."""
        count = await self._state.clear(request.caller.key_id, wanted.scope, wanted.kinds)
        return StateCountReply(count=count, kept=self._kept())

    async def show(self, request: Request, wanted: StateShow) -> StateShowReply:
        """A page of entries."""
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
        found, after = await self._state.keys_page(request.caller.key_id, wanted.scope, wanted.after or "")
        return StateKeysReply(keys=found, count=len(found), after=after)

    async def scopes(self, request: Request, wanted: StateScopes) -> StateScopesReply:
        """A page of scopes."""
        found, after = await self._state.scopes_page(request.caller.key_id, wanted.after or "")
        return StateScopesReply(scopes=found, count=len(found), after=after)

    def _kept(self) -> StateKept:
        path = self._state.path
        return StateKept(backend="memory" if path is None else "sqlite", path=None if path is None else str(path))


def _wanted(wanted: StateSetMany) -> list[Wanted]:
    return [Wanted(item.scope or wanted.scope, item.key, item.value, wanted.ttl_s) for item in wanted.entries]


def _shown(entry: Entry) -> StateEntry:
    return StateEntry(
        scope=entry.scope,
        key=entry.key,
        value=entry.value,
        version=entry.version,
        changed_at=_time(entry.changed_ms),
        expires_at=None if entry.expires_ms is None else _time(entry.expires_ms),
    )


def _time(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
