"""A private directory for an engine's socket file: short path, mode 0700, locked while it is in use.

The engine's listener speaks HTTP, so its address must be out of everyone else's reach. A directory gets its name when
it is locked: one whose lock is free was left by a kernel that was killed, and the next start of one removes it.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
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
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    longest = len(PREFIX) + len("/12345678/engine.sock")
    for candidate in (runtime, tempfile.gettempdir(), "/tmp"):
        if candidate is None or len(os.fsencode(candidate)) + 1 + longest > MAX_SOCKET_PATH_BYTES:
            continue
        if os.access(candidate, os.W_OK | os.X_OK):
            return Path(candidate)
    raise OSError("no directory for an engine's socket file: set TMPDIR to a short, writable path")


def remove_stale_directories() -> None:
    """Deletes what kernels that were killed have left."""
    base = _base()
    now = time.time()
    for entry in [*base.glob(f"{PREFIX}*"), *base.glob(f"{_UNLOCKED_PREFIX}*")]:
        try:
            status = entry.lstat()
            is_young = entry.name.startswith(_UNLOCKED_PREFIX) and now - status.st_mtime < _LOCKING_S
            if status.st_uid != os.getuid() or is_young:
                continue
            fd = os.open(entry, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            continue  # removed meanwhile, or not a directory of ours
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(entry, ignore_errors=True)
        except BlockingIOError:
            pass  # in use
        finally:
            os.close(fd)
