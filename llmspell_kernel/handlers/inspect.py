"""`inspect_request`: what is known about the name at the cursor."""

from __future__ import annotations

from llmspell_kernel.flat_content import standard_content
from llmspell_kernel.request import Reply, Request
from llmspell_kernel.scripting.contexts import Contexts
from llmspell_protocol.standard_requests import InspectRequest


class InspectHandler:
    """Answers `inspect_request` about the context that the request's frontend works in."""

    def __init__(self, contexts: Contexts) -> None:
        self._contexts = contexts

    async def __call__(self, request: Request) -> Reply:
        """The signature and what the function does, or the value; `cursor_pos` as in `complete_request`.

        With `detail_level` 1 the source of a script's function too.
        """
        wanted = standard_content(InspectRequest, request.msg_type, request.content)
        size = len(wanted.code)
        cursor = wanted.cursor_pos if wanted.cursor_pos is not None and 0 <= wanted.cursor_pos <= size else size
        context = self._contexts.of(request)
        data = await context.inspect(wanted.code, cursor, detailed=wanted.detail_level > 0)
        return Reply({"found": bool(data), "data": data, "metadata": {}})
