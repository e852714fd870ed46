"""`notebook_request`: one method an action; doors of notebooks that share the kernel."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from llmspell_kernel.area_handler import AreaHandler
from llmspell_kernel.request import Request
from llmspell_kernel.services.notebook_figures import summaries
from llmspell_kernel.services.notebooks import Notebooks
from llmspell_protocol.areas.action import Empty
from llmspell_protocol.areas.notebook import (
    NotebookCloseReply,
    NotebookListReply,
    NotebookNamed,
    NotebookOpen,
    NotebookOpenReply,
)
from llmspell_protocol.errors import Forbidden, InvalidRequest

if TYPE_CHECKING:
    from llmspell_kernel.services.model_users import ModelUsers


class NotebookHandler(AreaHandler):
    """Answers `notebook_request`."""

    def __init__(self, notebooks: Notebooks, users: Callable[[], ModelUsers | None]) -> None:
        self._notebooks = notebooks
        self._users = users

    async def open(self, request: Request, wanted: NotebookOpen) -> NotebookOpenReply:
        """A door, for as long as the notebook or its client wants it."""
        if not request.caller.local:
            raise Forbidden("notebooks are opened from the kernel's own machine only")
        for field, path in (("connection_file", wanted.connection_file), ("cwd", wanted.cwd)):
            if path is not None and (not os.path.isabs(path) or "\0" in path):
                raise InvalidRequest(f"{field}: '{path}' is not an absolute path")
        # To be in the root says nothing: a frontend whose directory is gone is there, and scripts may read below it.
        directory = None if wanted.cwd == "/" else wanted.cwd
        request.lasting = True
        notebook = await self._notebooks.open(Path(wanted.connection_file), wanted.name, directory)
        try:
            request.progress({"notebook": notebook.id})
            ended = await notebook.ended
        finally:
            await self._notebooks.close(notebook)
        return NotebookOpenReply(notebook=notebook.id, ended=ended)

    async def list(self, request: Request, wanted: Empty) -> NotebookListReply:
        """What is told of each."""
        found = summaries(self._notebooks, self._users())
        return NotebookListReply(notebooks=found, count=len(found))

    async def close(self, request: Request, wanted: NotebookNamed) -> NotebookCloseReply:
        """Ends one, as its frontend's shutdown does."""
        notebook = self._notebooks.named(wanted.notebook)
        await self._notebooks.close(notebook)
        return NotebookCloseReply(notebook=notebook.id)
