"""What a frontend asks about code and history: `complete`, `is_complete`, `history`, `comm_info`."""

from __future__ import annotations

from llmspell_kernel.context import Reply, Request
from llmspell_kernel.scripting.contexts import Contexts
from llmspell_protocol.errors import InvalidRequest, Unsupported


class IntrospectHandler:
    """Answers the standard requests that run nothing."""

    def __init__(self, contexts: Contexts) -> None:
        self._contexts = contexts

    async def __call__(self, request: Request) -> Reply:
        """The reply to one request; history and comms are empty, since this kernel keeps neither."""
        match request.msg_type:
            case "complete_request":
                return await self._complete(request)
            case "is_complete_request":
                return await self._is_complete(request)
            case "history_request":
                return Reply({"history": []})
            case "comm_info_request":
                return Reply({"comms": {}})
        raise Unsupported(f"{request.msg_type} is not supported by this kernel")

    async def _complete(self, request: Request) -> Reply:
        """`cursor_pos` counts characters, as Jupyter does."""
        code = _code(request)
        position = request.content.get("cursor_pos")
        end = position if isinstance(position, int) and 0 <= position <= len(code) else len(code)
        matches, replaced = await self._contexts.complete(code[:end])
        return Reply({"matches": matches, "cursor_start": end - replaced, "cursor_end": end, "metadata": {}})

    async def _is_complete(self, request: Request) -> Reply:
        code = _code(request)
        status = await self._contexts.is_complete(code)
        if status != "incomplete":
            # Dispatch would say "ok"; this reply's status is the answer itself.
            return Reply({"status": status})
        last = code.rpartition("\n")[2]
        return Reply({"status": status, "indent": last[: len(last) - len(last.lstrip())]})


def _code(request: Request) -> str:
    code = request.content.get("code")
    if not isinstance(code, str):
        raise InvalidRequest(f"{request.msg_type} needs the text 'code'")
    return code
