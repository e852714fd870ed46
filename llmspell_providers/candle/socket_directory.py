"""A private directory for an engine's socket file: short path, mode 0700, locked while it is in use.

The engine's listener speaks HTTP, so its address must be out of everyone else's reach. A directory gets its name when
it is locked: one whose lock is free was left by a kernel that was killed, and the next start of a kernel or an engine
removes it.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

PREFIX = "llmspell-engine-"
MAX_SOCKET_PATH_BYTES = 103
"""sun_path of macOS without its end; Linux allows 107 (unix(7))."""
_UNLOCKED_PREFIX = "llmspell-new-"
_LOCKING_S = 60.0
"""By then a new directory is locked and renamed, or its maker was killed between the two."""


class SocketDirectory:
    """A fresh directory that belongs to this process until `remove`."""

    def __init__(self) -> None:
        remove_stale_directories()
        base = _base()
        fresh = Path(tempfile.mkdtemp(prefix=_UNLOCKED_PREFIX, dir=base))
        self._fd = os.open(fresh, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        fcntl.flock(self._fd, fcntl.LOCK_EX)
        self.path = fresh.rename(base / (PREFIX + fresh.name.removeprefix(_UNLOCKED_PREFIX)))

    def remove(self) -> None:
        """Deletes the directory and what is in it; a second call does nothing."""
        if self._fd < 0:
            return
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._fd)
        self._fd = -1


def _base() -> Path:
    for place in _places():
        if _suits(place):
            return place
    raise OSError("no directory for an engine's socket file: set TMPDIR to a short, writable path")


def _places() -> list[Path]:
    """Where this user's directories may be, in the order in which it is tried."""
    named = (os.environ.get("XDG_RUNTIME_DIR"), tempfile.gettempdir())
    places = [Path(place) for place in dict.fromkeys(named) if place]
    return places if any(_suits(place) for place in places) else [*places, Path("/tmp")]


def _suits(place: Path) -> bool:
    longest = len(PREFIX) + len("/12345678/engine.sock")
    return len(os.fsencode(place)) + 1 + longest <= MAX_SOCKET_PATH_BYTES and os.access(place, os.W_OK | os.X_OK)


def stale_directories() -> list[Path]:
    """What kernels and commands that were killed have left; held by no process, and this user's."""
    found: list[Path] = []
    for path in _candidates():
        fd = _locked(path)
        if fd is not None:
            os.close(fd)
            found.append(path)
    return found


def remove_stale_directories() -> None:
    """Deletes them."""
    for path in _candidates():
        fd = _locked(path)
        if fd is not None:
            shutil.rmtree(path, ignore_errors=True)
            os.close(fd)


def _candidates() -> Iterator[Path]:
    for place in _places():
        try:
            with os.scandir(place) as entries:
                names = [entry.name for entry in entries if entry.name.startswith((PREFIX, _UNLOCKED_PREFIX))]
        except OSError:
            continue  # not there, or not ours to look at
        yield from (place / name for name in names)


def _locked(path: Path) -> int | None:
    """A descriptor that holds the lock of a directory of this user's; None: it is another's, or in use."""
    try:
        status = path.lstat()
        is_young = path.name.startswith(_UNLOCKED_PREFIX) and time.time() - status.st_mtime < _LOCKING_S
        if status.st_uid != os.getuid() or is_young:
            return None
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None  # removed meanwhile, or no directory
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(fd)
        return None
    return fd
