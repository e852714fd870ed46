"""`complete_request`: names that could stand at the cursor."""

from __future__ import annotations

from llmspell_kernel.flat_content import standard_content
from llmspell_kernel.request import Reply, Request
from llmspell_kernel.scripting.contexts import Contexts
from llmspell_protocol.standard_requests import CompleteRequest


class CompleteHandler:
    """Answers `complete_request` about the shared context."""

    def __init__(self, contexts: Contexts) -> None:
        self._contexts = contexts

    async def __call__(self, request: Request) -> Reply:
        """`cursor_pos` counts characters, as Jupyter does; one outside of the code is its end."""
        wanted = standard_content(CompleteRequest, request.msg_type, request.content)
        size = len(wanted.code)
        end = wanted.cursor_pos if wanted.cursor_pos is not None and 0 <= wanted.cursor_pos <= size else size
        matches, replaced = await self._contexts.of(request).complete(wanted.code[:end])
        return Reply({"matches": matches, "cursor_start": end - replaced, "cursor_end": end, "metadata": {}})
