"""`session_request`: one method an action, translated for the sessions service."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from llmspell_kernel.area_handler import AreaHandler
from llmspell_kernel.request import Request
from llmspell_kernel.services.hooks.component import Component
from llmspell_kernel.services.sessions.service import SessionsService
from llmspell_protocol.areas.action import Empty
from llmspell_protocol.areas.session import (
    SessionConversationReply,
    SessionCreate,
    SessionDelete,
    SessionDeleteReply,
    SessionDetails,
    SessionList,
    SessionListReply,
    SessionNamed,
    SessionReplay,
    SessionReplayableReply,
    SessionReplayReply,
    SessionReply,
    SessionSearch,
    SessionSearchReply,
    SessionShow,
    SessionShowReply,
    SessionUse,
    SessionUseReply,
)
from llmspell_protocol.errors import Forbidden, InvalidRequest, LlmspellError

if TYPE_CHECKING:
    from llmspell_kernel.services.hooks.service import HooksService
    from llmspell_kernel.services.sessions.replay import Replays


class SessionHandler(AreaHandler):
    """Answers `session_request`."""

    def __init__(self, sessions: SessionsService, replays: Callable[[], Replays], hooks: HooksService) -> None:
        self._sessions = sessions
        self._replays = replays
        self._hooks = hooks

    async def list(self, request: Request, wanted: SessionList) -> SessionListReply:
        """The caller's sessions."""
        return await self._sessions.listed(wanted, request.caller.key_id)

    async def create(self, request: Request, wanted: SessionCreate) -> SessionReply:
        """A new session; a hook that cancels it ends it again."""
        session = await self._sessions.create(wanted, request.caller.key_id)
        try:
            await self._reach("SessionStart", request, session)
        except LlmspellError:
            await self._sessions.delete(session.id, request.caller.key_id)
            raise
        return SessionReply(session=session)

    async def show(self, request: Request, wanted: SessionShow) -> SessionShowReply:
        """One session."""
        key_id = request.caller.key_id
        session = await self._sessions.show(wanted.session, key_id)
        if not wanted.steps:
            return SessionShowReply(session=session, steps=(), artifacts=(), after=None)
        steps, after = await self._sessions.page(session.id, key_id, wanted.after)
        lines = await self._sessions.artifact_lines(session.id, key_id) if after is None else ()
        return SessionShowReply(session=session, steps=steps, artifacts=lines, after=after)

    async def conversation(self, request: Request, wanted: SessionNamed) -> SessionConversationReply:
        """What a chat needs to go on."""
        return await self._sessions.conversation(wanted.session, request.caller.key_id)

    async def search(self, request: Request, wanted: SessionSearch) -> SessionSearchReply:
        """Steps by words."""
        if not 1 <= wanted.limit <= 1000:
            raise InvalidRequest("limit has to be 1 to 1000")
        matches = await self._sessions.search(wanted.query, wanted.limit, request.caller.key_id)
        return SessionSearchReply(matches=matches, query=wanted.query, count=len(matches))

    async def replayable(self, request: Request, wanted: SessionNamed) -> SessionReplayableReply:
        """What could be replayed."""
        return await self._replays().replayable(wanted.session, request.caller.key_id)

    async def replay(self, request: Request, wanted: SessionReplay) -> SessionReplayReply:
        """Steps asked again."""
        return await self._replays().replay(request, wanted)

    async def use(self, request: Request, wanted: SessionUse) -> SessionUseReply:
        """Where a script's requests are recorded."""
        _demand_script(request)
        return SessionUseReply(session=await self._sessions.use(wanted.session, request))

    async def current(self, request: Request, wanted: Empty) -> SessionUseReply:
        """The session that a script has chosen."""
        _demand_script(request)
        chosen = self._sessions.recorder.chosen(request.caller.context or "", request.caller.key_id)
        return SessionUseReply(session=None if chosen is None else chosen.id)

    async def save(self, request: Request, wanted: SessionNamed) -> SessionReply:
        """Everything that came so far is written."""
        session = await self._sessions.save(wanted.session, request.caller.key_id)
        await self._reach("SessionSave", request, session)
        return SessionReply(session=session)

    async def suspend(self, request: Request, wanted: SessionNamed) -> SessionReply:
        """A session that rests."""
        return await self._changed(request, wanted, "suspended", "SessionCheckpoint")

    async def resume(self, request: Request, wanted: SessionNamed) -> SessionReply:
        """A session that goes on."""
        return await self._changed(request, wanted, "active", "SessionRestore")

    async def complete(self, request: Request, wanted: SessionNamed) -> SessionReply:
        """A session that is done."""
        return await self._changed(request, wanted, "completed", "SessionEnd")

    async def delete(self, request: Request, wanted: SessionDelete) -> SessionDeleteReply:
        """A session, or all, with what was stored in it."""
        if (wanted.session is None) != wanted.all:
            raise InvalidRequest("either a session is named, or all are meant")
        if wanted.session is not None:
            session = await self._sessions.show(wanted.session, request.caller.key_id)
            await self._reach("SessionEnd", request, session)
        return SessionDeleteReply(deleted=await self._sessions.delete(wanted.session, request.caller.key_id))

    async def _changed(self, request: Request, wanted: SessionNamed, status: str, point: str) -> SessionReply:
        key_id = request.caller.key_id
        session = await self._sessions.show(wanted.session, key_id)
        self._sessions.demand_change(session, status)
        await self._reach(point, request, session)
        return SessionReply(session=await self._sessions.change(session.id, key_id, status))

    async def _reach(self, point: str, request: Request, session: SessionDetails) -> None:
        """Calls the hooks of a point.

        Raises:
            Forbidden: one of them has cancelled what is about to be done.
        """
        if not self._hooks.registered(point, request):
            return
        data = {"session_id": session.id, "name": session.name, "status": session.status}
        verdict = await self._hooks.run(point, request, component=Component("session", session.id), data=data)
        verdict.demand_not_cancelled(point)


def _demand_script(request: Request) -> None:
    if request.caller.context is None:
        raise Forbidden(
            "a script chooses its session so; a client's request names one itself",
            hint="metadata.llmspell.session",
        )
