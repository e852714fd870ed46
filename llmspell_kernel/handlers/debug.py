"""`debug_request`: the Debug Adapter Protocol over Jupyter's messages, for the context that a frontend works in."""

from __future__ import annotations

from llmspell_kernel.request import Reply, Request
from llmspell_kernel.scripting.contexts import Contexts


class DebugHandler:
    """Answers `debug_request`; events go out as `debug_event` on IOPub, or in the deltas of the run."""

    def __init__(self, contexts: Contexts) -> None:
        self._contexts = contexts

    async def __call__(self, request: Request) -> Reply:
        """The response of the debugger, which says itself whether it went well."""
        return Reply(await self._contexts.debugging.of(request).answer(request))
