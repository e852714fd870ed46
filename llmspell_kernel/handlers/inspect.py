"""`inspect_request`: what is known about the name at the cursor."""

from __future__ import annotations

from llmspell_kernel.flat_content import standard_content
from llmspell_kernel.request import Reply, Request
from llmspell_kernel.scripting.contexts import Contexts
from llmspell_protocol.standard_requests import InspectRequest


class InspectHandler:
    """Answers `inspect_request` about the shared context."""

    def __init__(self, contexts: Contexts) -> None:
        self._contexts = contexts

    async def __call__(self, request: Request) -> Reply:
        """The signature and what the function does, or the value; `cursor_pos` as in `complete_request`."""
        wanted = standard_content(InspectRequest, request.msg_type, request.content)
        size = len(wanted.code)
        cursor = wanted.cursor_pos if wanted.cursor_pos is not None and 0 <= wanted.cursor_pos <= size else size
        text = await self._contexts.of(request).inspect(wanted.code, cursor)
        data = {} if text is None else {"text/plain": text}
        return Reply({"found": text is not None, "data": data, "metadata": {}})
