"""What an ingest is about: its documents, the files of its paths, its addresses; and whether they may be read.

Knows permissions and names, not what is in a document.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from llmspell_kernel.request import Request
from llmspell_protocol.areas.rag import RagDocument
from llmspell_protocol.errors import Forbidden, InvalidRequest
from llmspell_protocol.request_options import EVERYTHING
from llmspell_protocol.tools.description import Need
from llmspell_protocol.tools.permissions import Permissions, denied


@dataclass(frozen=True, kw_only=True)
class Source:
    """A document that is to be taken in: a text, a file or an address."""

    id: str
    name: str
    """as messages call it"""
    size: int | None = None
    """bytes, where they are known"""
    document: RagDocument | None = None
    path: str | None = None
    url: str | None = None

    @property
    def source(self) -> str | None:
        """What it was read from."""
        return self.path or self.url


Permit = Callable[[Request, Need, str], Awaitable[bool]]
"""Asks a person for a permission that is lacking."""


class ReadRights:
    """What a request may read: a client of this machine all that the kernel's user may, others by their permissions."""

    def __init__(self, request: Request, permissions: Permissions, permit: Permit) -> None:
        self._request = request
        self._permit = permit
        caller = request.caller
        self._is_free = caller.kind == "client" and "files" in caller.reach
        self.permissions = permissions
        self._roots: Sequence[str] = () if self._is_free else tuple(map(_real, self.permissions.read))

    def path(self, path: str) -> str:
        """The absolute path that is meant.

        Raises:
            InvalidRequest: it is none, or relative, and there is no directory that it is relative to.
        """
        if not path or "\0" in path:
            raise InvalidRequest("a path must not be empty, and has no zero character in it")
        if os.path.isabs(path):
            return os.path.normpath(path)
        directory = self.permissions.working_directory
        if directory is None or self._is_free:
            raise InvalidRequest(f"'{path}' is no absolute path", hint="paths are those of the kernel's machine")
        return os.path.normpath(os.path.join(directory, path))

    async def demand(self, path: str) -> None:
        """Raises `Forbidden` unless the path may be read; a person is asked where there is one."""
        if self._is_free:
            return
        if not self._request.caller.local and self._request.caller.kind == "client":
            raise Forbidden(
                f"Path not allowed: {path}: a client on another machine reads no files of this one",
                hint="send the document's text",
            )
        if self.allows(path):
            return
        if await self._permit(self._request, "read", path):
            self._roots = (*self._roots, _real(path))
            return
        raise denied("read", path)

    def beneath(self, path: str) -> Sequence[str]:
        """The paths that one may be read below, as a worker is told."""
        if self._is_free or EVERYTHING in self._roots:
            return (EVERYTHING,)
        return self._roots

    def allows(self, path: str) -> bool:
        """Whether the file that a path leads to is below one that may be read."""
        if self._is_free or EVERYTHING in self._roots:
            return True
        real = os.path.realpath(path)
        return any(real == root or real.startswith(root.rstrip("/") + "/") for root in self._roots)


def _real(path: str) -> str:
    return path if path == EVERYTHING else os.path.realpath(path)
