"""Requests about subshells (JEP 91): places beside a notebook's main context, so that a cell runs beside a busy one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmspell_kernel.flat_content import standard_content
from llmspell_kernel.request import Reply, Request
from llmspell_protocol.standard_requests import DeleteSubshellRequest

if TYPE_CHECKING:
    from llmspell_kernel.scripting.contexts import Contexts


class SubshellsHandler:
    """Answers `create_subshell_request`, `delete_subshell_request` and `list_subshell_request`."""

    def __init__(self, contexts: Contexts) -> None:
        self._contexts = contexts

    async def create(self, request: Request) -> Reply:
        """A new subshell; its Lua state is made when something runs in it."""
        return Reply({"subshell_id": self._contexts.shells(request.caller).create()})

    async def delete(self, request: Request) -> Reply:
        """Ends one, and what runs in it."""
        wanted = standard_content(DeleteSubshellRequest, request.msg_type, request.content)
        self._contexts.shells(request.caller).delete(wanted.subshell_id)
        return Reply({})

    async def list(self, request: Request) -> Reply:
        """The ids of those that the notebook has."""
        return Reply({"subshell_id": list(self._contexts.shells(request.caller).subshells)})
