"""How many decoded bytes replies may have. Numbers alone: to know them costs no import."""

from __future__ import annotations

LIST_BYTES = 16 * 1024 * 1024
"""More than any list of models, and the limit of a reply for which no other one is said."""
STREAM_BYTES = 256 * 1024 * 1024
_VECTOR_BYTES = 256 * 1024
"""More than the JSON of one vector: 8,192 numbers of 20 characters."""


def vectors_limit(texts: int) -> int:
    """The bytes that the vectors of so many texts may take as JSON."""
    return min(STREAM_BYTES, (1 << 20) + texts * _VECTOR_BYTES)
