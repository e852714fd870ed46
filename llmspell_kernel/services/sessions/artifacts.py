"""Artifacts: contents by their SHA-256, each kept once however many sessions have it, and gone with the last of them.

What a person or script stores is kept as it is; secrets are taken out of what is written beside it. Each function works
on a connection inside a transaction of the caller's.
"""

from __future__ import annotations

import hashlib
import json
import mimetypes
import re
import sqlite3
import time
from collections.abc import Mapping, Sequence
from typing import Any

from llmspell_kernel.services.sessions import rows
from llmspell_kernel.services.sessions.packing import LEVEL
from llmspell_kernel.services.sessions.steps import clean
from llmspell_kernel.times import time_text
from llmspell_protocol.areas.artifact import ArtifactMetadata, ArtifactNamed, ArtifactRef
from llmspell_protocol.areas.session import ArtifactLine
from llmspell_protocol.errors import InvalidRequest, NotFound, StorageDamaged
from llmspell_storage.compression import compressed, decompressed

LARGEST_BYTES = 48 << 20
"""Of one content: what comes back has to fit into a message."""
_OWN = frozenset({"description", "tags", "mime_type", "parent_artifact", "created_by"})
"""The keys of an artifact's metadata that have a place of their own; the rest is `custom`."""
_HASH = re.compile(r"[0-9a-f]{6,64}")

SELECT = (
    "SELECT artifacts.session_id, sequence, artifacts.hash, type, artifacts.name, artifacts.description, mime_type,"
    " artifacts.tags, custom, version, artifacts.created_at, created_by, parent_artifact, size, stored_bytes,"
    " is_compressed FROM artifacts JOIN contents ON contents.hash = artifacts.hash"
    " JOIN sessions ON sessions.id = artifacts.session_id"
)


def store(
    connection: sqlite3.Connection,
    session: rows.Row,
    *,
    type: str,
    name: str,
    data: bytes,
    metadata: Mapping[str, Any],
    by: str,
    most: int,
    compress_from: int,
) -> tuple[ArtifactRef, bool]:
    """Keeps a content in a session; its reference, and whether no session of its key had this content before.

    Raises:
        InvalidRequest: no type or name, metadata of another form, too large, or more than `most` in the session.
    """
    if not type.strip():
        raise InvalidRequest("Artifact type cannot be empty")
    if not name.strip():
        raise InvalidRequest("Artifact name cannot be empty")
    if len(data) > LARGEST_BYTES:
        raise InvalidRequest(f"an artifact has at most {LARGEST_BYTES} bytes; this one has {len(data)}")
    if count(connection, session.id) >= most:
        raise InvalidRequest(
            f"session '{session.name}' has {most} artifacts, and no more are kept",
            hint="delete some, or raise runtime.sessions.max_artifacts_per_session",
            details={"session": session.id, "max_artifacts_per_session": most},
        )
    tags = metadata.get("tags") or []
    if not isinstance(tags, Sequence) or isinstance(tags, str) or not all(isinstance(tag, str) for tag in tags):
        raise InvalidRequest("an artifact's tags are a list of texts")
    digest = hashlib.sha256(data).hexdigest()
    is_new = not _has(connection, session.key_id, digest)
    if connection.execute("SELECT 1 FROM contents WHERE hash = ?", (digest,)).fetchone() is None:
        _keep(connection, digest, data, compress_from)
    (sequence,) = connection.execute(
        "UPDATE sessions SET last_sequence = last_sequence + 1 WHERE id = ? RETURNING last_sequence", (session.id,)
    ).fetchone()
    (version,) = connection.execute(
        "SELECT count(*) + 1 FROM artifacts WHERE session_id = ? AND name = ?", (session.id, name)
    ).fetchone()
    custom = {key: value for key, value in metadata.items() if key not in _OWN}
    nested = custom.pop("custom", None)
    connection.execute(
        "INSERT INTO artifacts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *(session.id, sequence, digest, clean(type), clean(name), clean(str(metadata.get("description") or ""))),
            clean(str(metadata.get("mime_type") or _mime_type(name, data))),
            json.dumps(list(tags)),
            json.dumps({**custom, **nested} if isinstance(nested, Mapping) else {**custom, **_given("custom", nested)}),
            *(version, time.time(), clean(str(metadata.get("created_by") or by))),
            None if metadata.get("parent_artifact") is None else clean(_hash_of(metadata["parent_artifact"])),
        ),
    )
    rows.touch(connection, session.id)
    return ArtifactRef(content_hash=digest, session_id=session.id, sequence=sequence), is_new


def get(connection: sqlite3.Connection, session: rows.Row, wanted: ArtifactNamed) -> tuple[ArtifactMetadata, bytes]:
    """An artifact and its content.

    Raises:
        StorageDamaged: the content can't be read. And as `find`.
    """
    found = find(connection, session, wanted)
    data, is_compressed = connection.execute(
        "SELECT data, is_compressed FROM contents WHERE hash = ?", (found.id.content_hash,)
    ).fetchone()
    try:
        return found, decompressed(data) if is_compressed else bytes(data)
    except ValueError as problem:
        raise StorageDamaged(
            f"the content of artifact {found.id.sequence} of session '{session.name}' is damaged: {problem}",
            hint="llmspell doctor examines the file; artifact delete ends this one",
            details={"session": session.id, "sequence": found.id.sequence},
        ) from None


def find(connection: sqlite3.Connection, session: rows.Row, wanted: ArtifactNamed) -> ArtifactMetadata:
    """An artifact by its number or, where that isn't given, by its content's hash, whose newest it is.

    Raises:
        NotFound: the session has none such.
        InvalidRequest: neither is given, or it is no hash.
    """
    where: str = "artifacts.session_id = ?"
    values: list[Any] = [session.id]
    if wanted.sequence is not None:
        where, values = f"{where} AND sequence = ?", [*values, wanted.sequence]
    if wanted.content_hash is not None:
        if not _HASH.fullmatch(wanted.content_hash):
            raise InvalidRequest(f"'{wanted.content_hash[:80]}' is no hash of a content: hexadecimal digits, 6 or more")
        where, values = f"{where} AND artifacts.hash LIKE ?", [*values, f"{wanted.content_hash}%"]
    if len(values) == 1:
        raise InvalidRequest("an artifact is named by its sequence or its content_hash")
    found = connection.execute(f"{SELECT} WHERE {where} ORDER BY sequence DESC LIMIT 1", values).fetchone()
    if found is None:
        raise NotFound(
            f"session '{session.name}' has no artifact {wanted.sequence or wanted.content_hash}",
            details={"session": session.id, "sequence": wanted.sequence, "content_hash": wanted.content_hash},
        )
    return metadata_of(found)


def delete(connection: sqlite3.Connection, session: rows.Row, wanted: ArtifactNamed) -> tuple[ArtifactRef, int]:
    """Ends an artifact, and its content where nothing else has it; how many bytes that frees of its key's.

    Raises as `find`.
    """
    found = find(connection, session, wanted)
    digest = found.id.content_hash
    (stored,) = connection.execute("SELECT stored_bytes FROM contents WHERE hash = ?", (digest,)).fetchone()
    connection.execute("DELETE FROM artifacts WHERE session_id = ? AND sequence = ?", (session.id, found.id.sequence))
    rows.free_pages(connection)
    return found.id, 0 if _has(connection, session.key_id, digest) else stored


def _has(connection: sqlite3.Connection, key_id: str, digest: str) -> bool:
    """Whether a key's sessions have a content; that another key has it too is nothing to be told."""
    found = connection.execute(
        "SELECT 1 FROM artifacts JOIN sessions ON sessions.id = session_id WHERE hash = ? AND key_id = ? LIMIT 1",
        (digest, key_id),
    )
    return found.fetchone() is not None


def lines(connection: sqlite3.Connection, session: str) -> list[ArtifactLine]:
    """The artifacts of a session, for its list."""
    return [
        ArtifactLine(id=str(sequence), type=type, name=name, created_at=time_text(created_at), size_bytes=size)
        for sequence, type, name, created_at, size in connection.execute(
            "SELECT sequence, type, name, created_at, size FROM artifacts JOIN contents USING (hash)"
            " WHERE session_id = ? ORDER BY sequence",
            (session,),
        )
    ]


def count(connection: sqlite3.Connection, session: str) -> int:
    """How many artifacts a session has."""
    (found,) = connection.execute("SELECT count(*) FROM artifacts WHERE session_id = ?", (session,)).fetchone()
    return int(found)


def stored_bytes(connection: sqlite3.Connection, session: str) -> int:
    """What the contents of a session's artifacts take; what others have too is counted all the same."""
    (found,) = connection.execute(
        "SELECT coalesce(sum(stored_bytes), 0) FROM contents"
        " WHERE hash IN (SELECT hash FROM artifacts WHERE session_id = ?)",
        (session,),
    ).fetchone()
    return int(found)


def _keep(connection: sqlite3.Connection, digest: str, data: bytes, compress_from: int) -> None:
    small = compressed(data, LEVEL) if len(data) > compress_from else data
    is_compressed = len(small) < len(data)
    kept = small if is_compressed else data
    connection.execute(
        "INSERT INTO contents (hash, data, size, stored_bytes, is_compressed) VALUES (?, ?, ?, ?, ?)",
        (digest, kept, len(data), len(kept), int(is_compressed)),
    )


def metadata_of(row: Sequence[Any]) -> ArtifactMetadata:
    """What a row of `SELECT` says of an artifact."""
    session, sequence, digest, type, name, description, mime_type, tags, custom, version, created_at = row[:11]
    created_by, parent, size, stored, is_compressed = row[11:]
    return ArtifactMetadata(
        name=name,
        description=description,
        artifact_type=type,
        mime_type=mime_type,
        size=size,
        tags=json.loads(tags),
        custom=json.loads(custom),
        version=version,
        created_at=time_text(created_at),
        created_by=created_by,
        parent_artifact=parent,
        is_compressed=bool(is_compressed),
        stored_size=stored,
        id=ArtifactRef(content_hash=digest, session_id=session, sequence=sequence),
    )


def _mime_type(name: str, data: bytes) -> str:
    guessed = mimetypes.guess_type(name)[0]
    if guessed is not None:
        return guessed
    try:
        data.decode()
    except UnicodeDecodeError:
        return "application/octet-stream"
    return "text/plain"


def _hash_of(value: Any) -> str:
    """An artifact that is named by its reference or its hash."""
    return str(value.get("content_hash", "")) if isinstance(value, Mapping) else str(value)


def _given(name: str, value: Any) -> dict[str, Any]:
    return {} if value is None else {name: value}
