"""Locks of executions over all kernels of a home: files that their holders lock, and remove before they let go of them.

A lock ends with the process that holds it, however that ends; its file may stay behind. Knows ids, no executions.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Collection
from pathlib import Path

from llmspell_kernel.directories import is_still
from llmspell_storage.directories import private_directory

_SUFFIX = ".lock"


class Lock:
    """A lock that is held until `release`."""

    def __init__(self, file: Path, descriptor: int) -> None:
        self._file = file
        self._descriptor: int | None = descriptor

    def remove(self) -> None:
        """Removes the file: what it stood for is gone. The lock is held all the same."""
        self._file.unlink(missing_ok=True)

    def release(self) -> None:
        """Lets go of it; nothing the second time."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


class Locks:
    """The locks in a directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def taken(self, id: str) -> Lock | None:
        """The lock of this id; None: another kernel, or another request, has it."""
        private_directory(self._directory)
        return _taken(self._directory / _name(id))

    def remove_others(self, ids: Collection[str]) -> None:
        """Removes files that are of none of these ids and that are held by no process: theirs ended too early to."""
        names = {_name(id) for id in ids}
        for file in tuple(self._directory.glob(f"*{_SUFFIX}")):
            lock = None if file.name in names else _taken(file)
            if lock is not None:
                lock.remove()
                lock.release()


def _name(id: str) -> str:
    return hashlib.sha256(id.encode()).hexdigest()[:32] + _SUFFIX


def _taken(file: Path) -> Lock | None:
    while True:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        if is_still(file, descriptor):
            return Lock(file, descriptor)
        os.close(descriptor)  # Its last holder removed it after it was opened here: those who come now have another.
