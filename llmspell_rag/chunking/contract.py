"""How large chunks are, and what the embedding model is asked while a text is cut."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, get_args

from llmspell_protocol.errors import InvalidRequest
from llmspell_protocol.rag.reading import Chunking, Strategy

STRATEGIES: Sequence[Strategy] = get_args(Strategy)


class Measures(Protocol):
    """What the embedding model says of texts; special tokens are never counted."""

    @property
    def limit(self) -> int:
        """The most tokens that a chunk may have."""

    def count(self, texts: Sequence[str]) -> Sequence[int]:
        """The tokens of each text."""

    def embed(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        """The vector of each text, of length 1; each text is within the limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """The sizes that are cut by: those that were wanted, as far as the model's limit allows."""

    size: int
    overlap: int
    least: int
    most: int


def sizes_of(wanted: Chunking, limit: int) -> Sizes:
    """The sizes for a model; an overlap shrinks with the size that it belongs to.

    Raises:
        InvalidRequest: they don't go together, or the limit is none.
    """
    if wanted.strategy not in STRATEGIES:
        raise InvalidRequest(f"chunking strategy '{wanted.strategy}' is none of {', '.join(STRATEGIES)}")
    if limit < 1:
        raise InvalidRequest(f"a chunk can't have at most {limit} tokens")
    if not 0 <= wanted.min_chunk_size <= wanted.chunk_size <= wanted.max_chunk_size or wanted.chunk_size < 1:
        raise InvalidRequest(
            f"a chunk_size of {wanted.chunk_size} is not between min_chunk_size ({wanted.min_chunk_size}) "
            f"and max_chunk_size ({wanted.max_chunk_size})"
        )
    if not 0 <= wanted.overlap < wanted.chunk_size:
        raise InvalidRequest(f"an overlap of {wanted.overlap} is not less than chunk_size ({wanted.chunk_size})")
    size = min(wanted.chunk_size, limit)
    return Sizes(
        size=size,
        overlap=wanted.overlap * size // wanted.chunk_size,
        least=min(wanted.min_chunk_size, size),
        most=min(wanted.max_chunk_size, limit),
    )
