"""How much of a file the kernel still holds in memory only: what a power cut would take."""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

_CACHESTAT = 451  # cachestat(2), the same number on every architecture; Linux 6.5
_FIELDS = ("cache", "dirty", "writeback", "evicted", "recently_evicted")


class _Range(ctypes.Structure):
    _fields_ = (("offset", ctypes.c_uint64), ("length", ctypes.c_uint64))  # both 0: the whole file


class _Statistics(ctypes.Structure):
    _fields_ = tuple((name, ctypes.c_uint64) for name in _FIELDS)


def dirty_pages(path: Path) -> int | None:
    """Pages of a file that are not on the disk yet, or on their way; None where the kernel cannot tell."""
    if sys.platform != "linux":
        return None
    found = _Statistics()
    descriptor = os.open(path, os.O_RDONLY)
    try:
        failed = ctypes.CDLL(None).syscall(
            _CACHESTAT, descriptor, ctypes.byref(_Range(0, 0)), ctypes.byref(found), ctypes.c_uint(0)
        )
    finally:
        os.close(descriptor)
    return None if failed else int(found.dirty) + int(found.writeback)


def shows_dirty_pages(directory: Path) -> bool:
    """Whether a file there is seen to be unsynced: not on every kernel and file system."""
    probe = directory / "unsynced"
    probe.write_bytes(b"x" * 100_000)
    try:
        return bool(dirty_pages(probe))
    finally:
        probe.unlink()
