"""Where a document's bytes are, and what is told of it once it is read. Opens what the kernel names and allows."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from llmspell_protocol.beneath import NotBeneath, NotPlain, Places, open_beneath
from llmspell_protocol.content import to_content
from llmspell_protocol.errors import Forbidden, InvalidRequest, LlmspellError, NotFound
from llmspell_protocol.request_options import EVERYTHING
from llmspell_rag.chunking.contract import Chunking, sizes_of
from llmspell_rag.chunking.cutting import CHUNKER_VERSION, strategy_for
from llmspell_rag.documents import media_types
from llmspell_rag.documents.folders import Found, Skipped, Wanted, walk
from llmspell_rag.documents.reading import READER_VERSION
from llmspell_rag.documents.text import Text


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known of a document that was read: the fields of the last frame."""

    hash: str
    bytes: int
    unchanged: bool
    media_type: str
    title: str | None
    characters: int
    pages: int | None
    chunks: int
    tokens: int
    """of all chunks together, what overlaps twice"""
    strategy: str
    chunk_size: int
    overlap: int
    """as they were for this model"""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    warnings: Sequence[str] = ()


def source_of(frame: Mapping[str, Any]) -> bytes:
    """The bytes that a frame has, or names.

    Raises:
        Forbidden: the path leads out of what may be read.
        NotFound: there is nothing.
        InvalidRequest: it is no plain file, too large, or can't be read.
    """
    largest = frame.get("largest_bytes")
    data: bytes | None = frame.get("data")
    if data is None:
        data = _file_at(frame["path"], _places(frame), largest)
    if largest is not None and len(data) > largest:
        raise _too_many_bytes(frame["name"], largest)
    return data


def found_below(frame: Mapping[str, Any]) -> Iterator[Found | Skipped]:
    """What there is at the paths that a frame names; what can't be looked at is skipped, with the reason."""
    places = _places(frame)
    wanted = Wanted(
        include=tuple(frame.get("include") or ()),
        exclude=tuple(frame.get("exclude") or ()),
        hidden=bool(frame.get("hidden")),
        largest_bytes=frame.get("largest_bytes"),
    )
    for path in frame["paths"]:
        try:
            yield from walk(path, wanted, places)
        except (NotBeneath, OSError) as error:
            yield Skipped(path, _told(path, error).message)


def hash_of(data: bytes, name: str, media_type: str | None, wanted: Chunking, limit: int) -> str:
    """Changes with the bytes, with what they are taken for, and with how they are read and cut."""
    how = {
        "chunking": asdict(wanted),
        "limit": limit,
        "media_type": media_type,
        "kind": media_types.of_name(name),
        "versions": [READER_VERSION, CHUNKER_VERSION],
    }
    return hashlib.sha256(json.dumps(how, sort_keys=True).encode() + b"\0" + data).hexdigest()


def facts_of(
    document: Text, digest: str, size: int, wanted: Chunking, limit: int, chunks: int, tokens: int
) -> Mapping[str, Any]:
    """The last frame's fields."""
    sizes = sizes_of(wanted, limit)
    metadata = dict(document.metadata)
    warnings = tuple(metadata.pop("warnings", ()))
    facts = Facts(
        hash=digest,
        bytes=size,
        unchanged=False,
        media_type=document.media_type,
        title=document.title,
        characters=len(document.text),
        pages=len(document.pages) or None,
        chunks=chunks,
        tokens=tokens,
        strategy=strategy_for(document) if wanted.strategy == "auto" else wanted.strategy,
        chunk_size=sizes.size,
        overlap=sizes.overlap,
        metadata=metadata,
        warnings=warnings,
    )
    content: Mapping[str, Any] = to_content(facts)
    return content


def _places(frame: Mapping[str, Any]) -> Places:
    return Places("/" if path == EVERYTHING else path for path in frame["beneath"])


def _file_at(path: str, places: Places, largest: int | None) -> bytes:
    try:
        descriptor = open_beneath(places, path, os.O_RDONLY)
    except (NotBeneath, NotPlain, OSError) as error:
        raise _told(path, error) from None
    with os.fdopen(descriptor, "rb") as file:
        if largest is not None and os.fstat(descriptor).st_size > largest:
            raise _too_many_bytes(path, largest)
        try:
            # One more, for what grows meanwhile.
            return file.read() if largest is None else file.read(largest + 1)
        except OSError as error:
            raise _told(path, error) from None


def _told(path: str, error: Exception) -> LlmspellError:
    details = {"path": path}
    if isinstance(error, NotBeneath):
        return Forbidden(
            f"{path} may not be read: it is outside of what this request may read",
            hint="name it where it really is: a link may lead out",
            details=details,
        )
    if isinstance(error, FileNotFoundError):
        return NotFound(f"there is nothing at {path}", details=details)
    if isinstance(error, NotPlain):
        return InvalidRequest(f"{path} is no plain file", details=details)
    said = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return InvalidRequest(f"{path} can't be read: {said.lower()}", details=details)


def _too_many_bytes(name: str, largest: int) -> InvalidRequest:
    return InvalidRequest(
        f"{name} has more than {largest:,} bytes",
        hint="divide the document, or allow larger ones",
        details={"name": name, "reason": "size", "limit_bytes": largest},
    )
