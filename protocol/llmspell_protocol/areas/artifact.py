"""`artifact_request`: what belongs to a session and is kept with it, addressed by its content."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any

from llmspell_protocol.areas.action import Action
from llmspell_protocol.models import between
from llmspell_protocol.numbers import INT32_HIGH
from llmspell_protocol.structs import Struct


class ArtifactRef(Struct):
    """An artifact of a session; `content_hash` is the SHA-256 of its content."""

    content_hash: str
    session_id: str
    sequence: int


class ArtifactStore(Struct):
    """Content as a text, or in base64 where it is no text."""

    session: str
    type: str
    """`agent_output`, `tool_result`, `user_input`, `system_generated`, or a word of one's own"""
    name: str
    content: str | None = None
    content_base64: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)


class ArtifactNamed(Struct):
    """One artifact: by its number in the session, or its content's hash, of which the beginning is enough."""

    session: str
    sequence: int | None = None
    content_hash: str | None = None


class ArtifactQuery(Struct):
    """What the artifacts that are wanted have in common; without a session of all sessions."""

    session: str | None = None
    type: str | None = None
    name_pattern: str | None = None
    """`*` stands for any text, `?` for one character"""
    tags: Sequence[str] = ()
    created_after: str | None = None
    created_before: str | None = None
    min_size: int | None = None
    max_size: int | None = None
    limit: int | None = between(1, INT32_HIGH)
    """so many at most; without it 500, and never more than 1000 in one reply"""
    after: str | None = None
    """what the reply before says where the next ones begin"""


class ArtifactMetadata(Struct):
    """What is known of an artifact besides its content; sizes are bytes."""

    name: str
    description: str
    artifact_type: str
    mime_type: str
    size: int
    """of the content, uncompressed"""
    tags: Sequence[str]
    custom: Mapping[str, Any]
    version: int
    """1 for the first of this name in the session"""
    created_at: str
    created_by: str
    parent_artifact: str | None
    is_compressed: bool
    stored_size: int
    """what the content takes in the database"""
    id: ArtifactRef


class ArtifactStoreReply(Struct):
    """Where it is."""

    id: ArtifactRef
    is_new: bool
    """whether no artifact of the caller's had this content before"""


class ArtifactGetReply(Struct):
    """The content, as a text or in base64."""

    metadata: ArtifactMetadata
    content: str | None
    content_base64: str | None


class ArtifactListReply(Struct):
    """Artifacts, the oldest first; `next` is where more of them begin (`after`), null: these are the last."""

    artifacts: Sequence[ArtifactMetadata]
    count: int
    next: str | None


class ArtifactDeleteReply(Struct):
    """What is gone; `freed_bytes` of its content, where no other of the caller's has it."""

    id: ArtifactRef
    freed_bytes: int


_ONE = {"session": "notes", "sequence": 1}

ACTIONS: Mapping[str, Action] = {
    "store": Action(
        ArtifactStore,
        ArtifactStoreReply,
        right="execute",
        example={"session": "notes", "type": "user_input", "name": "note.txt", "content": "hello"},
    ),
    "get": Action(ArtifactNamed, ArtifactGetReply, right="execute", example=_ONE, looks=True),
    "query": Action(ArtifactQuery, ArtifactListReply, right="execute", example={"session": "notes"}, looks=True),
    "delete": Action(ArtifactNamed, ArtifactDeleteReply, right="execute", example=_ONE),
}
