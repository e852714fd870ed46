"""What chunks are, how they are wanted, and what the embedding model is asked while a text is cut."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, get_args

from llmspell_protocol.errors import InvalidRequest

Strategy = Literal["auto", "sliding_window", "sentence", "paragraph", "markdown", "semantic", "code"]
STRATEGIES: Sequence[Strategy] = get_args(Strategy)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunking:
    """How a document is cut; sizes in tokens of the embedding model."""

    strategy: Strategy = "auto"
    chunk_size: int = 512
    """what a chunk is filled to"""
    overlap: int = 64
    """at most so much of a chunk's end is the beginning of the next one too"""
    min_chunk_size: int = 100
    """below this a chunk goes on, over a heading if need be; the last of a document may be shorter"""
    max_chunk_size: int = 2048
    """a sentence, a line, a record that is longer than `chunk_size` stays whole up to this"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """A passage: `text` is the document's text from `start` to `end`."""

    ordinal: int
    text: str
    start: int
    end: int
    tokens: int
    page: int | None
    """from 1; None where the document has no pages"""
    section: str | None
    """the headings or definitions that it begins in, from the outermost: `Tides > Causes`; what it shares with the
    chunk before doesn't count"""
    line: int
    """from 1: where it begins in the document's text"""


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
