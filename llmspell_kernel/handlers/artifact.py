"""`artifact_request`: one method an action, translated for the sessions service."""

from __future__ import annotations

import base64
import sqlite3
from collections.abc import Callable
from typing import TYPE_CHECKING

from llmspell_kernel.area_handler import AreaHandler
from llmspell_kernel.request import Request
from llmspell_kernel.services.sessions import artifact_queries, artifacts, rows
from llmspell_kernel.services.sessions.service import SessionsService
from llmspell_protocol.areas.artifact import (
    ArtifactDeleteReply,
    ArtifactGetReply,
    ArtifactListReply,
    ArtifactNamed,
    ArtifactQuery,
    ArtifactRef,
    ArtifactStore,
    ArtifactStoreReply,
)
from llmspell_protocol.errors import InvalidRequest

if TYPE_CHECKING:
    from llmspell_profiles.schema.settings import Settings


class ArtifactHandler(AreaHandler):
    """Answers `artifact_request`."""

    def __init__(self, sessions: SessionsService, settings: Callable[[], Settings]) -> None:
        self._sessions = sessions
        self._settings = settings

    async def store(self, request: Request, wanted: ArtifactStore) -> ArtifactStoreReply:
        """Keeps a content; what is written beside it is without secrets."""
        data = _content(wanted)
        table = self._settings().runtime.sessions
        redactor = self._sessions.redaction()

        def work(connection: sqlite3.Connection, session: rows.Row) -> tuple[ArtifactRef, bool]:
            return artifacts.store(
                connection,
                session,
                type=redactor.text(wanted.type),
                name=redactor.text(wanted.name),
                data=data,
                metadata=redactor.value(wanted.metadata),
                by=request.caller.kind,
                most=table.max_artifacts_per_session,
                compress_from=table.artifact_compression_threshold,
            )

        id, is_new = await self._sessions.in_session(wanted.session, request.caller.key_id, work)
        return ArtifactStoreReply(id=id, is_new=is_new)

    async def get(self, request: Request, wanted: ArtifactNamed) -> ArtifactGetReply:
        """A content."""
        metadata, data = await self._sessions.in_session(
            wanted.session,
            request.caller.key_id,
            lambda connection, session: artifacts.get(connection, session, wanted),
        )
        try:
            return ArtifactGetReply(metadata=metadata, content=data.decode(), content_base64=None)
        except UnicodeDecodeError:
            return ArtifactGetReply(metadata=metadata, content=None, content_base64=base64.b64encode(data).decode())

    async def query(self, request: Request, wanted: ArtifactQuery) -> ArtifactListReply:
        """Artifacts by what they have in common."""
        key_id = request.caller.key_id
        if wanted.session is not None:
            found = await self._sessions.in_session(
                wanted.session,
                key_id,
                lambda connection, session: artifact_queries.query(connection, key_id, wanted, session.id),
            )
        else:

            def work(connection: sqlite3.Connection) -> list[artifact_queries.Found]:
                return artifact_queries.query(connection, key_id, wanted, None)

            found = await self._sessions.in_all(work)
        chosen, following = artifact_queries.page(found, wanted)
        return ArtifactListReply(artifacts=chosen, count=len(chosen), next=following)

    async def delete(self, request: Request, wanted: ArtifactNamed) -> ArtifactDeleteReply:
        """Ends an artifact."""
        id, freed = await self._sessions.in_session(
            wanted.session,
            request.caller.key_id,
            lambda connection, session: artifacts.delete(connection, session, wanted),
        )
        return ArtifactDeleteReply(id=id, freed_bytes=freed)


def _content(wanted: ArtifactStore) -> bytes:
    if (wanted.content is None) == (wanted.content_base64 is None):
        raise InvalidRequest("an artifact has either content or content_base64")
    if wanted.content is not None:
        return wanted.content.encode("utf-8", "surrogatepass")
    try:
        return base64.b64decode(wanted.content_base64 or "", validate=True)
    except ValueError:  # also characters that are not ASCII
        raise InvalidRequest("content_base64 is not base64") from None
