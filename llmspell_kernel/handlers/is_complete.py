"""`is_complete_request`: whether a console should run the code or ask for another line."""

from __future__ import annotations

from llmspell_kernel.flat_content import standard_content
from llmspell_kernel.request import Reply, Request
from llmspell_kernel.scripting.contexts import Contexts
from llmspell_kernel.scripting.help_cell import is_help
from llmspell_protocol.standard_requests import IsCompleteRequest


class IsCompleteHandler:
    """Answers `is_complete_request` by the engine of the context that the request's frontend works in."""

    def __init__(self, contexts: Contexts) -> None:
        self._contexts = contexts

    async def __call__(self, request: Request) -> Reply:
        """The reply's status is the answer itself; `incomplete` comes with the next line's indent."""
        code = standard_content(IsCompleteRequest, request.msg_type, request.content).code
        context = self._contexts.of(request)
        context.typed_in = request.caller.session
        if is_help(code):
            return Reply({"status": "complete"})
        status, indent = await context.is_complete(code)
        return Reply({"status": status, "indent": indent} if status == "incomplete" else {"status": status})
