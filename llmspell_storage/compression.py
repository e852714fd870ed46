"""zstd, wherever this Python has it: bytes and files of databases."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal, cast

if TYPE_CHECKING:
    from types import ModuleType


def compressed(data: bytes, level: int) -> bytes:
    """The same as a zstd frame."""
    found: bytes = _library().compress(data, level=level)
    return found


def decompressed(data: bytes) -> bytes:
    """What was compressed; raises `ValueError` for what is damaged."""
    zstd = _library()
    try:
        found: bytes = zstd.decompress(data)
    except zstd.ZstdError as problem:
        raise ValueError(str(problem)) from None
    return found


def zstd_file(file: BinaryIO | Path, mode: Literal["rb", "wb"], level: int | None = None) -> BinaryIO:
    """A file that is compressed as it is written, or read as it was before; raises `OSError` for what is damaged."""
    return cast("BinaryIO", _library().ZstdFile(file, mode, level=level))


def _library() -> ModuleType:
    # Only what is large is compressed.
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    return zstd
