"""Sessions as requests ask for them: which databases there are, and what is done with one session of a caller's.

Sessions that everything is recorded in are where `runtime.sessions` says; those that a request names are kept in the
file whatever it says. Clients with another key see nothing of each other's.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

from llmspell_kernel.request import Request
from llmspell_kernel.services.sessions import artifacts, finding, rows, steps
from llmspell_kernel.services.sessions.conversation import conversation_of
from llmspell_kernel.services.sessions.recorder import Recorded, Recorder
from llmspell_kernel.services.sessions.records import Target
from llmspell_kernel.services.sessions.showing import Page, page
from llmspell_kernel.services.sessions.steps import Step, clean
from llmspell_kernel.services.sessions.stores import Stores
from llmspell_kernel.services.sessions.summaries import details, known, summary
from llmspell_kernel.services.sessions.writing import Writing
from llmspell_kernel.times import time_text
from llmspell_profiles.credentials.redaction import Redactor
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
        self._stores = Stores(settings, environment)
        self.recorder = Recorder(self._stores.default, self._stores.file)

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
        writing = self._stores.default()
        if writing is None:
            raise ConfigError(
                "sessions are switched off",
                hint="llmspell config set runtime.sessions.enabled true, or llmspell -p sessions …",
                details={"key": "runtime.sessions.enabled"},
            )
        parent = None if wanted.parent is None else (await self._stores.find(key_id, wanted.parent))[1].id
        redactor = self._stores.redaction()
        id = rows.new_id()
        limits = self._stores.limits()

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
            return details(connection, known(connection, key_id, id), writing.place)

        return await writing.write(work)

    async def listed(self, wanted: SessionList, key_id: str) -> SessionListReply:
        """The sessions of a key in all databases, the last used first."""
        limits = self._stores.limits()

        def work(connection: sqlite3.Connection) -> Sequence[SessionSummary]:
            rows.suspend_idle(connection, limits)
            return [
                summary(connection, row)
                for row in rows.listed(connection, key_id)
                if wanted.status in (None, row.status)
                and wanted.kind in (None, row.kind)
                and set(wanted.tags) <= set(row.tags)
            ]

        found = [one for writing in self._stores.all() for one in await writing.write(work)]
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
        """Everything about one session, without its steps. Raises as `Stores.find`."""
        writing, row = await self._stores.find(key_id, session)
        return await self._details(writing, row)

    async def page(self, session: str, key_id: str, after: str | None) -> Page:
        """As many of its steps as a message holds. Raises as `showing.page` and `Stores.find`."""
        writing, row = await self._stores.find(key_id, session)
        return await writing.read(lambda connection: page(connection, row.id, after))

    async def places(self, session: str, key_id: str) -> Sequence[steps.Place]:
        """Where its steps are, each with what came of it behind it. Raises as `Stores.find`."""
        writing, row = await self._stores.find(key_id, session)
        return await writing.read(lambda connection: steps.order(connection, row.id))

    async def steps(self, session: str, key_id: str, places: Sequence[steps.Place]) -> Sequence[Step]:
        """What was recorded at these places. Raises as `Stores.find`."""
        writing, _ = await self._stores.find(key_id, session)
        return await writing.read(lambda connection: list(steps.each(connection, places)))

    async def times(self, session: str, key_id: str) -> Sequence[tuple[float, float | None, bool]]:
        """As `steps.times`. Raises as `Stores.find`."""
        writing, row = await self._stores.find(key_id, session)
        return await writing.read(lambda connection: steps.times(connection, row.id))

    async def conversation(self, session: str, key_id: str) -> SessionConversationReply:
        """What a chat needs to go on. Raises as `Stores.find`."""
        writing, row = await self._stores.find(key_id, session)
        details = await self._details(writing, row)

        def work(connection: sqlite3.Connection) -> SessionConversationReply:
            roots = (place for place in reversed(steps.order(connection, row.id)) if len(place.numbers) == 1)
            return conversation_of(details, steps.each(connection, roots))

        return await writing.read(work)

    async def artifact_lines(self, session: str, key_id: str) -> Sequence[ArtifactLine]:
        """The artifacts of a session, for its list. Raises as `Stores.find`."""
        writing, row = await self._stores.find(key_id, session)
        return await writing.read(lambda connection: artifacts.lines(connection, row.id))

    async def change(self, session: str, key_id: str, status: str) -> SessionDetails:
        """The session with another status.

        Raises:
            InvalidRequest: it can't have that now. And as `Stores.find`.
        """
        writing, row = await self._stores.find(key_id, session)

        def work(connection: sqlite3.Connection) -> None:
            self.demand_change(known(connection, key_id, row.id), status)
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
        """The session, once everything that came so far is written. Raises as `Stores.find`."""
        writing, row = await self._stores.find(key_id, session)
        await writing.flush()
        return await self._details(writing, row)

    async def delete(self, session: str | None, key_id: str) -> Sequence[str]:
        """Ends a session, or (None) all of a key; the ids. Raises as `Stores.find`."""
        if session is not None:
            writing, row = await self._stores.find(key_id, session)

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

        gone = [id for writing in self._stores.all() for id in await writing.write(all_of)]
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
            for session, name, step, started_at, text in finding.search(connection, key_id, words, limit):
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

        return [match for writing in self._stores.all() for match in await writing.read(work)][:limit]

    async def use(self, session: str | None, request: Request) -> str | None:
        """Where a script context's requests are recorded from here on; the session's id. Raises as `Stores.find`."""
        context, key_id = request.caller.context or "", request.caller.key_id
        if session is None:
            self.recorder.choose(context, key_id, None)
            return None
        writing, row = await self._stores.find(key_id, session)
        self.recorder.choose(context, key_id, (writing, Target(key_id, row.id, name=row.name, kind=row.kind)))
        return row.id

    async def in_session(self, session: str, key_id: str, work: Callable[[sqlite3.Connection, rows.Row], T]) -> T:
        """What `work` does with a session, in a transaction. Raises as `Stores.find`."""
        writing, row = await self._stores.find(key_id, session)
        return await writing.write(lambda connection: work(connection, known(connection, key_id, row.id)))

    async def in_all(self, work: Callable[[sqlite3.Connection], Sequence[T]]) -> list[T]:
        """What `work` reads in every database."""
        return [one for writing in self._stores.all() for one in await writing.read(work)]

    def redaction(self) -> Redactor:
        """What takes secrets out of what is kept."""
        return self._stores.redaction()

    # The kernel's life

    def reconfigure(self, settings: Settings, running: Collection[asyncio.Task[None]]) -> None:
        """Keys may be others; where sessions are kept is asked for each time."""
        self._stores.reconfigure()

    def forget(self, owner: str) -> None:
        """A client or script context has ended: its own session is complete."""
        self.recorder.forget(owner)

    async def close(self) -> None:
        """Completes the sessions of clients, and writes what waits."""
        self.recorder.close()
        await self._stores.close()

    async def _details(self, writing: Writing, row: rows.Row) -> SessionDetails:
        return await writing.read(
            lambda connection: details(connection, known(connection, row.key_id, row.id), writing.place)
        )
