"""Documents as they were read and cut, and a store of the last ones: what is taken in again elsewhere isn't read again.

Knows neither files nor workers.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, NamedTuple

from llmspell_protocol.rag.documents import Chunk

_OF_A_CHUNK = 400
"""Bytes that a chunk takes beside its text."""


class Content(NamedTuple):
    """A document that was read: what is known of it, and its chunks."""

    title: str | None
    media_type: str | None
    characters: int
    bytes: int
    metadata: Mapping[str, Any]
    chunks: Sequence[Chunk]
    warnings: Sequence[str] = ()

    @property
    def memory_bytes(self) -> int:
        """About what it takes here."""
        return sum(len(chunk.text) + _OF_A_CHUNK for chunk in self.chunks)


class Contents:
    """The last documents by their source and how they were cut; those that were used longest ago go."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Hashable, tuple[str, Content]] = OrderedDict()
        self._bytes = 0

    def get(self, key: Hashable) -> tuple[str, Content] | None:
        """A document's hash and content; None: it isn't kept."""
        found = self._kept.get(key)
        if found is not None:
            self._kept.move_to_end(key)
        return found

    def put(self, key: Hashable, hash: str, content: Content, *, size_bytes: int) -> None:
        """Keeps a document, as long as all of them take no more than `size_bytes`."""
        old = self._kept.pop(key, None)
        self._bytes += content.memory_bytes - (0 if old is None else old[1].memory_bytes)
        self._kept[key] = hash, content
        while self._bytes > size_bytes and self._kept:
            _, (_, gone) = self._kept.popitem(last=False)
            self._bytes -= gone.memory_bytes
