"""Sessions as requests ask for them: which databases there are, and what is done with one session of a caller's.

Sessions that everything is recorded in are where `runtime.sessions` says; those that a request names are kept in the
file whatever it says. Clients with another key see nothing of each other's.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from llmspell_kernel.request import Request
from llmspell_kernel.services.sessions import artifacts, rows, steps
from llmspell_kernel.services.sessions.conversation import conversation_of
from llmspell_kernel.services.sessions.recorder import Recorded, Recorder
from llmspell_kernel.services.sessions.records import Target
from llmspell_kernel.services.sessions.showing import Page, page
from llmspell_kernel.services.sessions.steps import Step, clean
from llmspell_kernel.services.sessions.writing import Writing
from llmspell_kernel.times import time_text
from llmspell_profiles.credentials.redaction import Redactor
from llmspell_profiles.credentials.settings_secrets import redactor
from llmspell_protocol.areas.session import (
    ArtifactLine,
    SessionConversationReply,
    SessionCreate,
    SessionDetails,
    SessionList,
    SessionListReply,
    SessionMatch,
    SessionSummary,
)
from llmspell_protocol.errors import ConfigError, InvalidRequest

if TYPE_CHECKING:
    from llmspell_profiles.schema.settings import Settings

T = TypeVar("T")

_MAY_BECOME: Mapping[str, frozenset[str]] = {
    "suspended": frozenset({"active"}),
    "active": frozenset({"suspended"}),
    "completed": frozenset({"active", "suspended"}),
}
"""From which statuses each may be reached by a request."""
_VERBS = {"suspended": "suspended", "active": "resumed", "completed": "completed"}


class SessionsService:
    """The sessions of a kernel; belongs to the loop."""

    def __init__(self, settings: Callable[[], Settings], environment: Mapping[str, str]) -> None:
        self._settings = settings
        self._environment = environment
        self._writings: dict[Path | None, Writing] = {}
        self._redactor: Redactor | None = None
        self.recorder = Recorder(self._default, self._file)

    @property
    def enabled(self) -> bool:
        """Whether everything is recorded."""
        return self._settings().runtime.sessions.enabled

    @property
    def place(self) -> str:
        """Where what is recorded without a name is kept: the file, or `memory`."""
        table = self._settings().runtime.sessions
        return "memory" if table.enabled and table.storage_backend == "memory" else str(table.path)

    def observe(self, request: Request) -> Recorded | None:
        """Records a request, if it belongs to a session."""
        return self.recorder.begin(request)

    # What is done with sessions

    async def create(self, wanted: SessionCreate, key_id: str) -> SessionDetails:
        """A new session.

        Raises:
            ConfigError: sessions are switched off.
            SessionNotFound: there is no such parent.
        """
        writing = self._default()
        if writing is None:
            raise ConfigError(
                "sessions are switched off",
                hint="llmspell config set runtime.sessions.enabled true, or llmspell -p sessions …",
                details={"key": "runtime.sessions.enabled"},
            )
        parent = None if wanted.parent is None else (await self._find(key_id, wanted.parent))[1].id
        redactor = self._redaction()
        id = rows.new_id()
        limits = self._limits()

        def work(connection: sqlite3.Connection) -> SessionDetails:
            rows.insert(
                connection,
                id=id,
                key_id=key_id,
                name=clean(redactor.text(wanted.name or id[:8])),
                kind="other",
                description=clean(redactor.text(wanted.description or "")),
                tags=[clean(redactor.text(tag)) for tag in wanted.tags],
                metadata=redactor.value(wanted.metadata),
                parent=parent,
            )
            rows.retain(connection, limits, key_id=key_id, keep=id)
            return _details(connection, _known(connection, key_id, id), writing.place)

        return await writing.write(work)

    async def listed(self, wanted: SessionList, key_id: str) -> SessionListReply:
        """The sessions of a key in all databases, the last used first."""
        limits = self._limits()

        def work(connection: sqlite3.Connection) -> Sequence[SessionSummary]:
            rows.suspend_idle(connection, limits)
            return [
                _summary(connection, row)
                for row in rows.listed(connection, key_id)
                if wanted.status in (None, row.status)
                and wanted.kind in (None, row.kind)
                and set(wanted.tags) <= set(row.tags)
            ]

        found = [one for writing in self._all() for one in await writing.write(work)]
        found.sort(key=lambda one: one.last_activity, reverse=True)
        chosen = found[: wanted.limit]
        return SessionListReply(
            sessions=chosen,
            count=len(chosen),
            enabled=self.enabled,
            place=self.place,
            file=str(self._settings().runtime.sessions.path),
        )

    async def show(self, session: str, key_id: str) -> SessionDetails:
        """Everything about one session, without its steps. Raises as `_find`."""
        writing, row = await self._find(key_id, session)
        return await self._details(writing, row)

    async def page(self, session: str, key_id: str, after: str | None) -> Page:
        """As many of its steps as a message holds. Raises as `showing.page` and `_find`."""
        writing, row = await self._find(key_id, session)
        return await writing.read(lambda connection: page(connection, row.id, after))

    async def places(self, session: str, key_id: str) -> Sequence[steps.Place]:
        """Where its steps are, each with what came of it behind it. Raises as `_find`."""
        writing, row = await self._find(key_id, session)
        return await writing.read(lambda connection: steps.order(connection, row.id))

    async def steps(self, session: str, key_id: str, places: Sequence[steps.Place]) -> Sequence[Step]:
        """What was recorded at these places. Raises as `_find`."""
        writing, _ = await self._find(key_id, session)
        return await writing.read(lambda connection: list(steps.each(connection, places)))

    async def times(self, session: str, key_id: str) -> Sequence[tuple[float, float | None, bool]]:
        """As `steps.times`. Raises as `_find`."""
        writing, row = await self._find(key_id, session)
        return await writing.read(lambda connection: steps.times(connection, row.id))

    async def conversation(self, session: str, key_id: str) -> SessionConversationReply:
        """What a chat needs to go on. Raises as `_find`."""
        writing, row = await self._find(key_id, session)
        details = await self._details(writing, row)

        def work(connection: sqlite3.Connection) -> SessionConversationReply:
            roots = (place for place in reversed(steps.order(connection, row.id)) if len(place.numbers) == 1)
            return conversation_of(details, steps.each(connection, roots))

        return await writing.read(work)

    async def artifact_lines(self, session: str, key_id: str) -> Sequence[ArtifactLine]:
        """The artifacts of a session, for its list. Raises as `_find`."""
        writing, row = await self._find(key_id, session)
        return await writing.read(lambda connection: artifacts.lines(connection, row.id))

    async def change(self, session: str, key_id: str, status: str) -> SessionDetails:
        """The session with another status.

        Raises:
            InvalidRequest: it can't have that now. And as `_find`.
        """
        writing, row = await self._find(key_id, session)

        def work(connection: sqlite3.Connection) -> None:
            self.demand_change(_known(connection, key_id, row.id), status)
            rows.set_status(connection, row.id, status)

        await writing.write(work)
        return await self._details(writing, row)

    @staticmethod
    def demand_change(session: SessionSummary | rows.Row, status: str) -> None:
        """Raises `InvalidRequest` where a session can't have this status now."""
        if session.status not in _MAY_BECOME[status]:
            raise InvalidRequest(
                f"session '{session.name}' is {session.status}, and can't be {_VERBS[status]}",
                details={"session": session.id, "status": session.status},
            )

    async def save(self, session: str, key_id: str) -> SessionDetails:
        """The session, once everything that came so far is written. Raises as `_find`."""
        writing, row = await self._find(key_id, session)
        await writing.flush()
        return await self._details(writing, row)

    async def delete(self, session: str | None, key_id: str) -> Sequence[str]:
        """Ends a session, or (None) all of a key; the ids. Raises as `_find`."""
        if session is not None:
            writing, row = await self._find(key_id, session)

            def one(connection: sqlite3.Connection) -> None:
                rows.delete(connection, row.id)
                rows.free_pages(connection)

            await writing.write(one)
            self.recorder.deleted([row.id])
            return [row.id]

        def all_of(connection: sqlite3.Connection) -> list[str]:
            found = [row.id for row in rows.listed(connection, key_id)]
            for id in found:
                rows.delete(connection, id)
            rows.free_pages(connection)
            return found

        gone = [id for writing in self._all() for id in await writing.write(all_of)]
        self.recorder.deleted(gone)
        return gone

    async def search(self, query: str, limit: int, key_id: str) -> Sequence[SessionMatch]:
        """Steps in which all words stand.

        Raises:
            InvalidRequest: there are no words.
        """
        words = query.replace("\0", " ").split()  # A zero byte ends what SQLite reads.
        if not words:
            raise InvalidRequest("there are no words to search for")

        def work(connection: sqlite3.Connection) -> Sequence[SessionMatch]:
            labels: dict[str, dict[str, str]] = {}
            matches = []
            for session, name, step, started_at, text in steps.search(connection, key_id, words, limit):
                if session not in labels:
                    labels[session] = steps.labels(connection, session)
                matches.append(
                    SessionMatch(
                        session=session,
                        name=name,
                        step=labels[session][step],
                        timestamp=time_text(started_at),
                        text=" ".join(text.split()),
                    )
                )
            return matches

        return [match for writing in self._all() for match in await writing.read(work)][:limit]

    async def use(self, session: str | None, request: Request) -> str | None:
        """Where the requests of a script's context are recorded from here on; the session's id. Raises as `_find`."""
        context, key_id = request.caller.context or "", request.caller.key_id
        if session is None:
            self.recorder.choose(context, key_id, None)
            return None
        writing, row = await self._find(key_id, session)
        self.recorder.choose(context, key_id, (writing, Target(key_id, row.id, name=row.name, kind=row.kind)))
        return row.id

    async def in_session(self, session: str, key_id: str, work: Callable[[sqlite3.Connection, rows.Row], T]) -> T:
        """What `work` does with a session, in a transaction. Raises as `_find`."""
        writing, row = await self._find(key_id, session)
        return await writing.write(lambda connection: work(connection, _known(connection, key_id, row.id)))

    async def in_all(self, work: Callable[[sqlite3.Connection], Sequence[T]]) -> list[T]:
        """What `work` reads in every database."""
        return [one for writing in self._all() for one in await writing.read(work)]

    def redaction(self) -> Redactor:
        """What takes secrets out of what is kept."""
        return self._redaction()

    # The kernel's life

    def reconfigure(self, settings: Settings, running: Collection[asyncio.Task[None]]) -> None:
        """Keys may be others; where sessions are kept is asked for each time."""
        self._redactor = None

    def forget(self, owner: str) -> None:
        """A client or script context has ended: its own session is complete."""
        self.recorder.forget(owner)

    async def close(self) -> None:
        """Completes the sessions of clients, and writes what waits."""
        self.recorder.close()
        for writing in self._writings.values():
            await writing.close()

    # Databases

    def _default(self) -> Writing | None:
        table = self._settings().runtime.sessions
        if not table.enabled:
            return None
        return self._file() if table.storage_backend == "sqlite" else self._writing(None)

    def _file(self) -> Writing:
        return self._writing(self._settings().runtime.sessions.path)

    def _writing(self, path: Path | None) -> Writing:
        if path not in self._writings:
            self._writings[path] = Writing(path, redactor=self._redaction, limits=self._limits)
        return self._writings[path]

    def _all(self) -> list[Writing]:
        """The databases that there are; one that nothing has written yet isn't made to be looked at."""
        default, path = self._default(), self._settings().runtime.sessions.path
        if path not in self._writings and path.exists():
            self._writing(path)
        found = list(self._writings.values())
        return found if default is None or default in found else [default, *found]

    async def _find(self, key_id: str, wanted: str) -> tuple[Writing, rows.Row]:
        """The one session that is meant, and where it is.

        Raises:
            SessionNotFound: there is none.
            InvalidRequest: there are several.
        """
        limits = self._limits()

        def candidates(connection: sqlite3.Connection) -> list[rows.Row]:
            rows.suspend_idle(connection, limits)
            return rows.candidates(connection, key_id, wanted)

        found = [(writing, row) for writing in self._all() for row in await writing.write(candidates)]
        exact = [(writing, row) for writing, row in found if row.id == wanted.lower()]
        named = [(writing, row) for writing, row in found if row.name == wanted]
        chosen = exact or named or found
        row = rows.the_one([row for _, row in chosen], wanted)
        return next(writing for writing, one in chosen if one.id == row.id), row

    async def _details(self, writing: Writing, row: rows.Row) -> SessionDetails:
        return await writing.read(
            lambda connection: _details(connection, _known(connection, row.key_id, row.id), writing.place)
        )

    def _limits(self) -> rows.Limits:
        table = self._settings().runtime.sessions
        return rows.Limits(
            sessions=table.max_sessions,
            age_s=float(table.max_age_seconds),
            bytes=table.max_bytes,
            idle_s=float(table.session_timeout_seconds),
        )

    def _redaction(self) -> Redactor:
        if self._redactor is None:
            self._redactor = redactor(self._settings(), self._environment)
        return self._redactor


def _known(connection: sqlite3.Connection, key_id: str, id: str) -> rows.Row:
    """The session of an id that was there a moment ago."""
    found = rows.by_id(connection, key_id, id)
    return rows.the_one([] if found is None else [found], id)


def _summary(connection: sqlite3.Connection, row: rows.Row) -> SessionSummary:
    return SessionSummary(**_summary_fields(connection, row, steps.totals(connection, row.id)[0]))


def _summary_fields(connection: sqlite3.Connection, row: rows.Row, count: int) -> dict[str, Any]:
    return {
        "id": row.id,
        "name": row.name,
        "kind": row.kind,
        "status": row.status,
        "created_at": time_text(row.created_at),
        "last_activity": time_text(row.last_activity),
        "steps": count,
        "artifacts": artifacts.count(connection, row.id),
        "tags": list(row.tags),
    }


def _details(connection: sqlite3.Connection, row: rows.Row, place: str) -> SessionDetails:
    count, prompt_tokens, completion_tokens = steps.totals(connection, row.id)
    return SessionDetails(
        **_summary_fields(connection, row, count),
        description=row.description,
        parent_session_id=row.parent_session_id,
        metadata=row.metadata,
        place=place,
        size_bytes=row.steps_bytes + artifacts.stored_bytes(connection, row.id),
        prompt_tokens=prompt_tokens,
        completion_tokens=completion_tokens,
        dropped=row.dropped,
    )
