"""Reads and writes of state that requests ask for: with the hooks of their points around them, and told as events.

Hooks see values as people do (`kept_values.shown`); one that a hook has changed is kept as it left it. Where no hook is
registered, what this costs is a look.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from llmspell_kernel.request import Request
from llmspell_kernel.services.events.service import EventsService
from llmspell_kernel.services.hooks.component import Component
from llmspell_kernel.services.hooks.service import HooksService
from llmspell_kernel.services.hooks.work import HookedWork
from llmspell_kernel.services.state.places import Place, place_of, scope_of
from llmspell_kernel.services.state.service import ABSENT, Entry, StateService, Wanted
from llmspell_protocol.areas.state import StateDelete, StateSelection, StateSet
from llmspell_protocol.errors import Conflict, InvalidRequest
from llmspell_protocol.kept_values import kept, shown

Data = Mapping[str, Any]

_READ = ("BeforeStateRead", "AfterStateRead")
_WRITE = ("BeforeStateWrite", "AfterStateWrite")


class WatchedState:
    """The state service for requests."""

    def __init__(self, state: StateService, hooks: HooksService, events: EventsService) -> None:
        self._state = state
        self._hooks = hooks
        self._events = events

    async def get(self, request: Request, scope: str, key: str) -> Entry | None:
        """An entry; a hook may give another value, or none. Raises as `StateService.get`, and `Forbidden`."""
        key_id = request.caller.key_id
        if not self._is_hooked(_READ, request):
            return await self._state.get(key_id, scope, key)
        place = place_of(key_id, scope, key)

        async def work(data: Data) -> Entry | None:
            _, scope, key = _place(key_id, data)
            return await self._state.get(key_id, scope, key)

        def made(value: Any) -> Entry | None:
            now_ms = self._state.now_ms()
            return None if value is None else Entry(place.scope, place.key, _kept(value), ABSENT, now_ms, None)

        return await self._hooks.around(
            request,
            HookedWork(
                before=_READ[0],
                after=_READ[1],
                error=None,
                component=Component("state", place.scope),
                data={"scope": place.scope, "key": place.key, "operation": "get"},
                work=work,
                shown=lambda entry: None if entry is None else shown(entry.value),
                made=made,
                result_key="value",
                check=lambda data: _place(key_id, data),
            ),
        )

    async def look(self, request: Request, scope: str, operation: str) -> None:
        """Before several entries are read at once: hooks may refuse that, and see no values. Raises `Forbidden`."""
        if self._hooks.registered(_READ[0], request):
            data = {"scope": scope, "operation": operation}
            verdict = await self._hooks.run(_READ[0], request, component=Component("state", scope), data=data)
            verdict.demand_not_cancelled(_READ[0])

    async def set(self, request: Request, wanted: StateSet) -> int:
        """Writes a value; returns its version, `ABSENT` where a hook has left it out. Raises as `StateService.set`, and
        `Forbidden`."""
        key_id = request.caller.key_id

        async def write(place: Place, value: Any) -> int:
            try:
                version = await self._state.set_at(
                    place, value, ttl_s=wanted.ttl_s, keep_ttl=wanted.keep_ttl, version=wanted.version
                )
            except Conflict as problem:
                await self._tell_conflict(request, problem)
                raise
            self._events.state_changed(place.scope, place.key, "set", request)
            return version

        place = place_of(key_id, wanted.scope, wanted.key)
        if not self._is_hooked(_WRITE, request):
            return await write(place, wanted.value)
        seen = shown(wanted.value)

        def left(data: Data) -> tuple[Place, Any]:
            return _place(key_id, data), _left(data, seen, wanted.value)

        async def work(data: Data) -> int:
            return await write(*left(data))

        return await self._around_write(request, place, "set", {"value": seen}, work, check=left)

    async def delete(self, request: Request, wanted: StateDelete) -> bool:
        """Removes an entry; whether there was one. Raises as `StateService.delete`, and `Forbidden`."""
        key_id = request.caller.key_id

        async def remove(scope: str, key: str) -> bool:
            try:
                deleted = await self._state.delete(key_id, scope, key, version=wanted.version)
            except Conflict as problem:
                await self._tell_conflict(request, problem)
                raise
            if deleted:
                self._changed(request, scope, key, "delete")
            return deleted

        if not self._is_hooked(_WRITE, request):
            return await remove(wanted.scope, wanted.key)
        place = place_of(key_id, wanted.scope, wanted.key)

        async def work(data: Data) -> int:
            _, scope, key = _place(key_id, data)
            return await remove(scope, key)

        return bool(
            await self._around_write(request, place, "delete", {}, work, check=lambda data: _place(key_id, data))
        )

    async def set_many(
        self, request: Request, wanted: Sequence[Wanted], *, instead_of: Sequence[tuple[str, str]] = ()
    ) -> int:
        """Writes several values, of which hooks may change or leave out each; returns how many. Raises as
        `StateService.set_many`, and `Forbidden`."""
        if self._is_hooked(_WRITE, request):
            wanted = [one for each in wanted if (one := await self._before(request, each)) is not None]
        count = await self._state.set_many(request.caller.key_id, wanted, instead_of=instead_of)
        for one in wanted:
            self._changed(request, one.scope, one.key, "set")
            if self._hooks.registered(_WRITE[1], request):
                place = place_of(request.caller.key_id, one.scope, one.key)
                data = {"scope": place.scope, "key": place.key, "operation": "set", "value": shown(one.value)}
                await self._hooks.run(_WRITE[1], request, component=Component("state", place.scope), data=data)
        return count

    async def clear(self, request: Request, wanted: StateSelection) -> int:
        """Removes all entries of a selection; returns how many. Raises as `StateService.clear`, and `Forbidden`."""
        named = ", ".join(wanted.kinds) or scope_of(wanted.scope)
        place = Place(request.caller.key_id, named, "")

        async def work(_: Data) -> int:
            count = await self._state.clear(request.caller.key_id, wanted.scope, wanted.kinds)
            self._events.state_changed(named, "", "clear", request)
            return count

        return await self._around_write(request, place, "clear", {}, work)

    async def around_migration(self, request: Request, before: int, version: int) -> None:
        """Before a migration: hooks may refuse it. Raises `Forbidden`."""
        point = "StateMigration"
        if self._hooks.registered(point, request):
            data = {"from_version": before, "to_version": version}
            verdict = await self._hooks.run(point, request, component=Component("state", "migration"), data=data)
            verdict.demand_not_cancelled(point)

    def _is_hooked(self, points: Sequence[str], request: Request) -> bool:
        return any(self._hooks.registered(point, request) for point in points)

    async def _around_write(
        self,
        request: Request,
        place: Place,
        operation: str,
        more: Data,
        work: Callable[[Data], Awaitable[int]],
        *,
        check: Callable[[Data], object] | None = None,
    ) -> int:
        return await self._hooks.around(
            request,
            HookedWork(
                before=_WRITE[0],
                after=_WRITE[1],
                error=None,
                component=Component("state", place.scope),
                data={"scope": place.scope, "key": place.key, "operation": operation, **more},
                work=work,
                made=lambda _: ABSENT,
                check=check,
            ),
        )

    async def _before(self, request: Request, wanted: Wanted) -> Wanted | None:
        """One of several as hooks leave it; None: it is left out."""
        place = place_of(request.caller.key_id, wanted.scope, wanted.key)
        seen = shown(wanted.value)
        data: Data = {"scope": place.scope, "key": place.key, "operation": "set", "value": seen}

        def left(data: Data) -> Wanted:
            _, scope, key = _place(request.caller.key_id, data)
            return wanted._replace(scope=scope, key=key, value=_left(data, seen, wanted.value))

        verdict = await self._hooks.run(
            _WRITE[0],
            request,
            component=Component("state", place.scope),
            data=data,
            check=lambda said: left(said.data),
        )
        verdict.demand_not_cancelled(_WRITE[0])
        return None if verdict.kind in ("skip", "replace") else left(verdict.data)

    async def _tell_conflict(self, request: Request, problem: Conflict) -> None:
        if self._hooks.registered("StateConflict", request):
            scope = problem.details["scope"]
            await self._hooks.run(
                "StateConflict", request, component=Component("state", scope), data=dict(problem.details)
            )

    def _changed(self, request: Request, scope: str, key: str, operation: str) -> None:
        place = place_of(request.caller.key_id, scope, key)
        self._events.state_changed(place.scope, place.key, operation, request)


def _place(key_id: str, data: Data) -> Place:
    """The place as hooks have left it."""
    scope, key = data.get("scope"), data.get("key")
    if not isinstance(scope, str) or not isinstance(key, str):
        raise InvalidRequest("a hook returned a scope or a key that is not a string")
    return place_of(key_id, scope, key)


def _left(data: Data, seen: Any, form: Any) -> Any:
    """The form of the value that hooks have left: its own where they have not changed what they saw."""
    value = data.get("value")
    # 1, 1.0 and true are equal, and different values.
    is_same = value is seen or _text(value) == _text(seen)
    return form if is_same else _kept(value)


def _text(value: Any) -> str | None:
    """A text that is another for every other value of JSON's; None: it is no value of those."""
    try:
        return json.dumps(value, sort_keys=True)
    except (TypeError, ValueError):
        return None


def _kept(value: Any) -> Any:
    try:
        return kept(value)
    except ValueError as problem:
        raise InvalidRequest(f"the value that a hook returned can't be kept: {problem}") from None
