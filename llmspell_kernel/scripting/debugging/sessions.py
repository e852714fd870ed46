"""Which contexts are debugged: a debugger for each, found by what a debug request is about, and ended with its context.

What a debugger does is `session.py`'s, which is read when the first one is needed.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from llmspell_kernel.request import Request
from llmspell_kernel.scripting.context import Context
from llmspell_protocol.errors import NotFound

if TYPE_CHECKING:
    from llmspell_kernel.scripting.debugging.session import DebugSession


class DebugSessions:
    """All debuggers of a kernel; belongs to the loop.

    `context_of` gives the context whose cells a request is about, `context_named` that of an id; both raise NotFound.
    """

    def __init__(self, context_of: Callable[[Request], Context], context_named: Callable[[str], Context]) -> None:
        self._context_of = context_of
        self._context_named = context_named
        self._sessions: dict[str, DebugSession] = {}
        """By the id of the context."""
        self._runs: dict[tuple[str, str], str] = {}
        """Ids of the contexts of isolated runs that are debugged, by client and id of the run."""

    def __len__(self) -> int:
        """How many contexts have one."""
        return len(self._sessions)

    def of(self, request: Request) -> DebugSession:
        """The debugger of what a debug request is about: the frontend's context, or an isolated run of its client's.

        Raises:
            NotFound: there is no such run (any more).
        """
        if request.options.debugs is None:
            return self._of_context(self._context_of(request))
        id = self._runs.get((request.caller.client, request.options.debugs))
        if id is None:
            raise NotFound("no run that can be debugged has this id", details={"msg_id": request.options.debugs})
        return self._of_context(self._context_named(id))

    @asynccontextmanager
    async def debugged(self, request: Request, context: Context, path: str, code: str) -> AsyncIterator[None]:
        """Waits until the debugger of an isolated run is ready; it can be asked until the block is left."""
        key = (request.caller.client, request.id)
        self._runs[key] = context.id
        try:
            session = self._of_context(context)
            session.belongs_to(request)
            session.know(path, code)
            session.event("process", {"name": path, "startMethod": "launch"}, request)
            await session.configured.wait()
            yield
        finally:
            del self._runs[key]

    def client_gone(self, client: str) -> None:
        """A client has gone."""
        for session in self._sessions.values():
            session.owners.gone(client)

    def context_ended(self, id: str) -> None:
        """A context has ended, and its debugger with it."""
        session = self._sessions.pop(id, None)
        if session is not None:
            session.end()

    def _of_context(self, context: Context) -> DebugSession:
        session = self._sessions.get(context.id)
        if session is None:
            # Few contexts are debugged.
            from llmspell_kernel.scripting.debugging.session import DebugSession

            session = self._sessions[context.id] = DebugSession(context)
        return session
