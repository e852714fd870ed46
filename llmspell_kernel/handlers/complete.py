"""`complete_request`: names that could stand at the cursor."""

from __future__ import annotations

from llmspell_kernel.flat_content import standard_content
from llmspell_kernel.request import Reply, Request
from llmspell_kernel.scripting.contexts import Contexts
from llmspell_kernel.scripting.places import seen_by
from llmspell_kernel.scripting.rights import granted
from llmspell_protocol.standard_requests import CompleteRequest


class CompleteHandler:
    """Answers `complete_request` about the context that the request's frontend works in."""

    def __init__(self, contexts: Contexts) -> None:
        self._contexts = contexts

    async def __call__(self, request: Request) -> Reply:
        """`cursor_pos` counts characters, as Jupyter does; one outside of the code is its end.

        What stands behind the cursor of a name is replaced too. The types are in IPython's form, which frontends read.
        """
        wanted = standard_content(CompleteRequest, request.msg_type, request.content)
        size = len(wanted.code)
        cursor = wanted.cursor_pos if wanted.cursor_pos is not None and 0 <= wanted.cursor_pos <= size else size
        context = self._contexts.of(request)
        seen = seen_by(request, granted(request).read, context.directory)
        found = await context.complete(wanted.code, cursor, seen)
        typed = [
            {"text": one.text, "type": one.type, "signature": one.signature, "start": found.start, "end": found.end}
            for one in found.candidates
        ]
        return Reply(
            {
                "matches": [one.text for one in found.candidates],
                "cursor_start": found.start,
                "cursor_end": found.end,
                "metadata": {"_jupyter_types_experimental": typed},
            }
        )
