"""The path that stands for a cell while it is debugged: made of its text, as frontends make it themselves.

A frontend hashes a cell's text by the method and seed that `debugInfo` tells it, and puts the prefix before the number
and the suffix behind it. There is no such file.
"""

from __future__ import annotations

from struct import iter_unpack

HASH_METHOD = "Murmur2"
HASH_SEED = 0xC70F6907
PREFIX = "/llmspell/cells/"
SUFFIX = ".lua"

_AT_ONCE_BYTES = 1 << 16
_MULTIPLIER = 0x5BD1E995
_WORD = 0xFFFFFFFF


def murmur2(data: bytes, seed: int) -> int:
    """The 32-bit hash of Austin Appleby's MurmurHash2 (x86, little-endian), as JupyterLab and ipykernel have it."""
    value = (seed ^ len(data)) & _WORD
    whole = len(data) & ~3
    for (word,) in iter_unpack("<I", memoryview(data)[:whole]):
        word = word * _MULTIPLIER & _WORD
        word = (word ^ word >> 24) * _MULTIPLIER & _WORD
        value = value * _MULTIPLIER & _WORD ^ word
    if rest := data[whole:]:
        value = (value ^ int.from_bytes(rest, "little")) * _MULTIPLIER & _WORD
    value = (value ^ value >> 13) * _MULTIPLIER & _WORD
    return value ^ value >> 15


def cell_path(source: bytes) -> str:
    """The path of the cell with this text (UTF-8)."""
    return f"{PREFIX}{murmur2(source, HASH_SEED)}{SUFFIX}"


async def named_beside(source: bytes) -> str:
    """As `cell_path`, for the loop, which has no time to hash a long text: a megabyte takes a tenth of a second."""
    if len(source) <= _AT_ONCE_BYTES:
        return cell_path(source)
    # Script workers name cells too, and have no loop.
    import asyncio

    return await asyncio.to_thread(cell_path, source)
