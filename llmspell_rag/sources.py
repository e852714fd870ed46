"""Where a document's bytes are, and what is told of it once it is read. Opens what the kernel names and allows."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict

from llmspell_protocol.beneath import NotBeneath, NotPlain, Places, open_beneath
from llmspell_protocol.errors import Forbidden, InvalidRequest, LlmspellError, NotFound
from llmspell_protocol.rag.reading import Facts, Found, Read, Skipped, Walk
from llmspell_protocol.request_options import EVERYTHING
from llmspell_rag.chunking.contract import sizes_of
from llmspell_rag.chunking.cutting import CHUNKER_VERSION, strategy_for
from llmspell_rag.documents import media_types
from llmspell_rag.documents.folders import walk
from llmspell_rag.documents.reading import READER_VERSION
from llmspell_rag.documents.text import Text


def source_of(wanted: Read) -> bytes:
    """The bytes that are given, or those of the file.

    Raises:
        Forbidden: the path leads out of what may be read.
        NotFound: there is nothing.
        InvalidRequest: it is no plain file, too large, or can't be read.
    """
    data, largest = wanted.data, wanted.largest_bytes
    if data is None:
        if wanted.path is None:
            raise InvalidRequest(f"{wanted.name} has neither a path nor data")
        data = _file_at(wanted.path, _places(wanted.beneath), largest)
    if largest is not None and len(data) > largest:
        raise _too_many_bytes(wanted.name, largest)
    return data


def found_below(wanted: Walk) -> Iterator[Found | Skipped]:
    """What there is at the paths; what can't be looked at is skipped, with the reason."""
    places = _places(wanted.beneath)
    for path in wanted.paths:
        try:
            yield from walk(path, wanted, places)
        except (NotBeneath, OSError) as error:
            yield Skipped(path=path, reason=_told(path, error).message)


def hash_of(data: bytes, wanted: Read) -> str:
    """Changes with the bytes, with what they are taken for, and with how they are read and cut."""
    how = {
        "chunking": asdict(wanted.chunking),
        "limit": wanted.limit,
        "media_type": wanted.media_type,
        "kind": media_types.of_name(wanted.name),
        "versions": [READER_VERSION, CHUNKER_VERSION],
    }
    return hashlib.sha256(json.dumps(how, sort_keys=True).encode() + b"\0" + data).hexdigest()


def facts_of(document: Text, wanted: Read, *, digest: str, size: int, chunks: int, tokens: int) -> Facts:
    """What is told of a document once it is cut; `size` is in bytes."""
    sizes = sizes_of(wanted.chunking, wanted.limit)
    metadata = dict(document.metadata)
    warnings = tuple(metadata.pop("warnings", ()))
    strategy = wanted.chunking.strategy
    return Facts(
        hash=digest,
        bytes=size,
        media_type=document.media_type,
        title=document.title,
        characters=len(document.text),
        pages=len(document.pages) or None,
        chunks=chunks,
        tokens=tokens,
        strategy=strategy_for(document) if strategy == "auto" else strategy,
        chunk_size=sizes.size,
        overlap=sizes.overlap,
        metadata=metadata,
        warnings=warnings,
    )


def _places(beneath: Sequence[str]) -> Places:
    return Places("/" if path == EVERYTHING else path for path in beneath)


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
