"""Asks the person at the client for a permission that a call lacks, and remembers the answer as long as it counts.

An answer is for the call that asked, for the session (until the client or script context ends), or for good: then it
is written into `[tools.permissions]` of the configuration. A client whose input is data is never asked.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmspell_kernel.request import Request
from llmspell_protocol.errors import Forbidden
from llmspell_protocol.plain_text import shown_name
from llmspell_protocol.tools.description import Need
from llmspell_protocol.tools.permissions import SETTINGS, Permissions, denied

if TYPE_CHECKING:
    from llmspell_profiles.schema.settings import Settings

AskingTime = Callable[[], AbstractAsyncContextManager[None]]
"""Around the time that a person takes to answer, which is not the work's."""

MOST_QUESTIONS = 8
"""So many permissions one call may ask for, one after the other."""

_DOING: Mapping[Need, str] = {
    "read": "read {}",
    "write": "write {}",
    "net": "connect to {}",
    "run": "run {}",
}
"""What can be asked for. Not a variable: the client sends only those that it was told to."""
_ONCE, _SESSION, _ALWAYS = "once", "session", "always"
_WORDS = {
    **dict.fromkeys(("y", "yes", "once"), _ONCE),
    **dict.fromkeys(("s", "session"), _SESSION),
    **dict.fromkeys(("a", "always"), _ALWAYS),
}
"""Whole words: neither "stop" nor "abort" allows anything."""


class Asking:
    """What was granted at clients of one kernel; belongs to the loop."""

    def __init__(self, settings: Callable[[], Settings], environment: Mapping[str, str], file: Path | None) -> None:
        self._settings = settings
        self._environment = environment
        self._file = file
        self._granted: dict[str, dict[Need, list[str]]] = {}
        self._kept: dict[Need, list[str]] = {}
        """What was written into the configuration since the settings were read."""
        self._read = settings()
        self._writing = asyncio.Lock()
        self._turns: dict[str, asyncio.Lock] = {}
        """One question a session: its answer may be that of the next."""

    def with_session(self, request: Request, permissions: Permissions) -> Permissions:
        """The permissions with what was granted for this client's session."""
        for granted in self._granted_at(_session(request)):
            for kind, names in granted.items():
                permissions = _with(permissions, kind, *names)
        return permissions

    def kinds(self, request: Request) -> Collection[Need]:
        """The kinds of permission that a person is asked about; none where no person can be asked, or may grant any."""
        caller = request.root.caller
        return _DOING.keys() if request.has_person and caller.grants else ()

    async def ask(
        self,
        request: Request,
        tool: str,
        refused: Forbidden,
        permissions: Permissions,
        asking: AskingTime = nullcontext,
    ) -> Permissions:
        """The permissions with what the refusal lacked. The person has `asking` to answer.

        Raises:
            Forbidden: the refusal itself, where no person can be asked, or one said no.
            ConfigError: the answer counts for good, and can't be written.
        """
        kind = next((one for one in _DOING if one == refused.details.get("permission")), None)
        name = refused.details.get("name")
        caller = request.root.caller
        if kind is None or not isinstance(name, str) or not caller.grants:
            raise refused
        # A model must not draw its own question: what steers a terminal is written out.
        shown = "everything" if name == "*" else shown_name(name)
        session = _session(request)
        async with self._turns.setdefault(session, asyncio.Lock()):
            if any(name in granted.get(kind, ()) for granted in self._granted_at(session)):  # since it was refused
                return _with(permissions, kind, name)
            async with asking():
                answer = await request.ask_person(
                    f"{tool} wants to {_DOING[kind].format(shown)}.\n"
                    "Allow it? [y]es once, for this [s]ession, [a]lways, [N]o: "
                )
            how = _WORDS.get((answer or "").strip().lower())
            if how is None:
                raise refused
            if how is _ALWAYS:
                await self._keep(kind, name)
            elif how is _SESSION:
                self._granted.setdefault(session, {}).setdefault(kind, []).append(name)
        return _with(permissions, kind, name)

    async def permit(self, request: Request, kind: Need, name: str) -> bool:
        """The same for what a script touches by itself: whether it may."""
        granted = self.with_session(request, Permissions())
        if name in getattr(granted, kind):
            return True
        try:
            await self.ask(request, "The script", denied(kind, name), Permissions())
        except Forbidden:
            return False
        return True

    def forget(self, owner: str) -> None:
        """A client or script context has ended."""
        self._granted.pop(owner, None)
        self._turns.pop(owner, None)

    def _granted_at(self, session: str) -> tuple[Mapping[Need, list[str]], ...]:
        if self._settings() is not self._read:
            # The configuration was read again: what was written into it is there, or was taken back.
            self._kept.clear()
            self._read = self._settings()
        return self._kept, self._granted.get(session, {})

    async def _keep(self, kind: Need, name: str) -> None:
        # Only an answer that counts for good writes a file.
        from llmspell_profiles.writing import set_key

        def write(value: str) -> Any:
            return set_key(SETTINGS[kind], value, env=self._environment, cwd=Path("/"), config=self._file)

        async with self._writing:
            before = (*getattr(self._settings().tools.permissions, kind), *self._kept.get(kind, ()))
            await asyncio.to_thread(write, json.dumps(list(dict.fromkeys((*before, name))), ensure_ascii=False))
            self._kept.setdefault(kind, []).append(name)


def _session(request: Request) -> str:
    return request.root.caller.client


def _with(permissions: Permissions, kind: Need, *names: str) -> Permissions:
    changed: dict[str, Any] = {kind: (*getattr(permissions, kind), *names)}
    if kind == "net":
        changed["blocked"] = tuple(host for host in permissions.blocked if host not in names)
    return replace(permissions, **changed)
