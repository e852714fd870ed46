"""A file that grows at its end, and the sum of what it holds. Knows neither network nor what the bytes are."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

_READ_BYTES = 1 << 20


class Part:
    """An unfinished file, open for appending; bytes are on disk's side of this process once `append` returns."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        self.offset = 0
        self.sha256 = hashlib.sha256()

    def __enter__(self) -> Part:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)

    def size(self) -> int:
        """Bytes in the file, read or not."""
        return os.fstat(self._fd).st_size

    def read_existing(self) -> None:
        """Goes to the end, with the sum of all that is there."""
        while data := os.pread(self._fd, _READ_BYTES, self.offset):
            self.sha256.update(data)
            self.offset += len(data)

    def restart(self) -> None:
        """Empties the file."""
        os.ftruncate(self._fd, 0)
        self.offset = 0
        self.sha256 = hashlib.sha256()

    def append(self, data: bytes) -> None:
        """Writes at the end."""
        left = memoryview(data)
        while left:
            left = left[os.pwrite(self._fd, left, self.offset + len(data) - len(left)) :]
        self.sha256.update(data)
        self.offset += len(data)

    def sync(self) -> None:
        """Makes the bytes survive a power cut."""
        os.fsync(self._fd)
