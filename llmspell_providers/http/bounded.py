"""The bodies of replies, decoded and never longer than they may be. Knows bytes, not what they say.

A few bytes of gzip can stand for gigabytes, so that a limit has to count what comes out.
"""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterable, AsyncIterator, Iterator

_PIECE_BYTES = 256 * 1024
_WINDOWS = {"gzip": 31, "x-gzip": 31, "deflate": 15}
"""What zlib has to be told to expect; `deflate` on the wire is zlib's own format."""


class TooLong(ValueError):
    """More came than may come."""


class Undecodable(ValueError):
    """The body is compressed in a way that was not asked for, or is not what it says."""


class Decoding:
    """Undoes one `Content-Encoding`, piece by piece, and counts what comes out."""

    def __init__(self, encoding: str, limit_bytes: int) -> None:
        names = [name.strip().lower() for name in encoding.split(",") if name.strip().lower() not in ("", "identity")]
        if len(names) > 1 or (names and names[0] not in _WINDOWS):
            raise Undecodable(f"its reply is compressed as '{encoding[:40]}', which was not asked for")
        self._zlib = zlib.decompressobj(_WINDOWS[names[0]]) if names else None
        self._limit_bytes = limit_bytes
        self._left = limit_bytes

    def feed(self, data: bytes) -> Iterator[bytes]:
        """What so many bytes of the wire stand for, in pieces of 256 KiB at most where they are compressed.

        Raises:
            TooLong, Undecodable.
        """
        if self._zlib is None:
            self._count(len(data))
            yield data
            return
        while data:
            try:
                piece = self._zlib.decompress(data, _PIECE_BYTES)
            except zlib.error:
                raise Undecodable("its reply is not compressed as it says") from None
            self._count(len(piece))
            if piece:
                yield piece
            data = self._zlib.unconsumed_tail

    def _count(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise TooLong(f"its reply is longer than {_shown(self._limit_bytes)}")


async def bounded(pieces: AsyncIterable[bytes], decoding: Decoding) -> AsyncIterator[bytes]:
    """The decoded bytes of a body; raises as `Decoding.feed`."""
    async for data in pieces:
        for piece in decoding.feed(data):
            yield piece


def _shown(size: int) -> str:
    return f"{size >> 20} MiB" if size >= 1 << 20 else f"{size >> 10} KiB"
