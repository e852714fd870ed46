"""`history_request`: earlier cells of this context and of others."""

from __future__ import annotations

from llmspell_kernel.flat_content import standard_content
from llmspell_kernel.request import Reply, Request
from llmspell_kernel.scripting.contexts import Contexts
from llmspell_kernel.services.history.service import HistoryService
from llmspell_protocol.standard_requests import HistoryRequest


class HistoryHandler:
    """Answers `history_request`."""

    def __init__(self, contexts: Contexts, history: HistoryService) -> None:
        self._contexts = contexts
        self._history = history

    async def __call__(self, request: Request) -> Reply:
        """`(session, line, code)` each, with `output` `(session, line, (code, text or null))`.

        There is no code but the one that was sent, so that `raw` makes no difference.
        """
        wanted = standard_content(HistoryRequest, request.msg_type, request.content)
        rows = await self._history.find(self._contexts.of(request), request.caller.key_id, wanted)
        return Reply(
            {
                "history": [
                    [row.session, row.line, [row.code, row.output] if wanted.output else row.code] for row in rows
                ]
            }
        )
