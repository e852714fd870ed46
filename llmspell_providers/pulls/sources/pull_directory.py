"""The directory of one unfinished pull: what can be resumed, and the lock that makes two pulls one download.

`state.json` is both: a process that pulls holds an exclusive lock on it and notes, per file, what the bytes in
`<file>.part` belong to. The lock goes with the process, however that ends. Knows no network.
"""

from __future__ import annotations

import errno
import fcntl
import json
import logging
import os
import shutil
import threading
from collections.abc import Callable, Container, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from llmspell_protocol.errors import DiskFull

_STATE = "state.json"
_PART = ".part"
_SAYS: Mapping[str, type] = {"size_bytes": int, "sha256": str, "git_sha1": str, "address_hash": str, "validator": str}
_LOOK_INTERVAL_S = 0.2
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """What a part's bytes belong to: the announced sums, or else the address (hashed) and its validator."""

    size_bytes: int | None = None
    sha256: str | None = None
    git_sha1: str | None = None
    address_hash: str | None = None
    validator: str | None = None


_log = logging.getLogger(__name__)


class PullDirectory:
    """The directory, locked by this process until `close`."""

    def __init__(self, directory: Path, fd: int) -> None:
        self.directory = directory
        self._fd = fd
        self._state = _decoded(os.pread(fd, 1 << 20, 0))
        self._writing = threading.Lock()

    @classmethod
    def acquire(cls, directory: Path, watch: Callable[[int, int | None], None]) -> tuple[PullDirectory, bool]:
        """The directory of a pull, and whether another process had it first.

        While another process has it, `watch(bytes, total)` is called five times a second with its progress.
        """
        waited = False
        while True:
            directory.mkdir(parents=True, exist_ok=True)
            try:
                fd = os.open(directory / _STATE, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
            except FileNotFoundError:
                if (directory / _STATE).is_symlink():
                    raise
                continue  # the other one finished and removed the directory just now
            try:
                if not _lock_at_once(fd):
                    waited = True
                    _wait_for_lock(fd, lambda: watch(*_standing(directory, fd)))  # noqa: B023 - called before the loop goes on
                if _is_the_file_at(fd, directory / _STATE):
                    return cls(directory, fd), waited
            except BaseException:
                os.close(fd)
                raise
            os.close(fd)

    @classmethod
    def tidy(cls, directory: Path) -> None:
        """Removes what an ended pull left that can't be resumed; does nothing while another process pulls."""
        try:
            fd = os.open(directory / _STATE, os.O_RDWR)
        except FileNotFoundError:
            return
        if _lock_at_once(fd) and _is_the_file_at(fd, directory / _STATE):
            cls(directory, fd).close()
        else:
            os.close(fd)

    def part(self, name: str) -> Path:
        """Where the bytes of a file are while it is incomplete or not yet installed."""
        return self.directory / f"{name}{_PART}"

    def provenance(self, name: str) -> Provenance | None:
        """What the bytes in `part(name)` belong to; None when nothing is known, and they are worth nothing."""
        value = self._state.get(name)
        if not isinstance(value, dict) or not value.keys() <= _SAYS.keys():
            return None  # written by another version
        if not all(one is None or type(one) is _SAYS[key] for key, one in value.items()):
            return None
        return Provenance(**value)

    def note(self, name: str, provenance: Provenance) -> None:
        """Remembers what the bytes that follow belong to."""
        with self._writing:
            self._state[name] = asdict(provenance)
            self._write()

    def discard(self, name: str) -> None:
        """Deletes a file's bytes."""
        self.part(name).unlink(missing_ok=True)
        with self._writing:
            if self._state.pop(name, None) is not None:
                self._write()

    def forget_others(self, names: Container[str]) -> None:
        """Deletes the bytes of files that the pull no longer consists of."""
        for name in [name for name in self._state if name not in names]:
            self.discard(name)

    def noted_bytes(self) -> int:
        """How large the files are that were begun."""
        return _noted_bytes(self._state) or 0

    def fresh_directory(self, name: str) -> Path:
        """An empty directory below, for files that are about to be installed."""
        path = self.directory / name
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir()
        return path

    def require_free(self, needed_bytes: int) -> None:
        """Checks before writing that the disk has room.

        Raises:
            DiskFull: it has not.
        """
        free = shutil.disk_usage(self.directory).free
        if needed_bytes > free:
            raise disk_full(self.directory, needed_bytes, free)

    def close(self) -> None:
        """Releases the lock; only bytes that can be resumed stay, and without any the directory goes."""
        try:
            for path in self.directory.glob("*"):
                name = path.name.removesuffix(_PART)
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                elif path.name != _STATE and (self.provenance(name) is None or not path.stat().st_size):
                    self.discard(name)
            if not any(self.directory.glob(f"*{_PART}")):
                self.delete()
        except OSError as error:
            _log.warning("what an ended pull left in %s stays: %s", self.directory, error)
        finally:
            os.close(self._fd)

    def delete(self) -> None:
        """Removes everything; the lock stays held until `close`."""
        for path in self.directory.glob("*"):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            elif path.name != _STATE:
                path.unlink()
        # Last, because a process that waits for the lock checks that this file is still the one at its path.
        (self.directory / _STATE).unlink(missing_ok=True)
        for directory in (self.directory, self.directory.parent):
            try:
                directory.rmdir()
            except OSError:
                return  # another pull of this model, or of another one, is under way

    def _write(self) -> None:
        # In place, because the lock is on this file; one that a power cut left half-written decodes to nothing.
        data = json.dumps(self._state).encode()
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, data, 0)


def is_full(error: OSError) -> bool:
    """Whether the disk, a quota on it or a limit on files' sizes takes no more."""
    return error.errno in _FULL


def free_bytes(directory: Path) -> int:
    """What the disk of a directory, there or not, can still take."""
    place = directory
    while not place.exists() and place != place.parent:
        place = place.parent
    return shutil.disk_usage(place).free


def disk_full(directory: Path, needed_bytes: int | None, free_bytes: int) -> DiskFull:
    """The error for a disk that cannot hold what is needed; None: how much that is was not said."""
    needed = "" if needed_bytes is None else f"{needed_bytes} bytes needed, "
    return DiskFull(
        f"Not enough disk space in {directory.parent.parent}: {needed}{free_bytes} free",
        hint="free some space (llmspell model list -v shows what models take), or set providers.candle.model_directory",
        details={"needed_bytes": needed_bytes, "free_bytes": free_bytes},
    )


def _decoded(data: bytes) -> dict[str, Any]:
    """What a state file says; nothing where it makes no sense: then the bytes beside it are worth nothing."""
    try:
        state = json.loads(data) if data else {}
    except (ValueError, RecursionError):
        return {}
    if not isinstance(state, dict):
        return {}
    # The names become paths.
    return {name: value for name, value in state.items() if "/" not in name and name.isprintable() and value}


def _standing(directory: Path, fd: int) -> tuple[int, int | None]:
    """Bytes that are there and that there will be, as far as the state says."""
    state = _decoded(os.pread(fd, 1 << 20, 0))
    done = 0
    for name in state:  # a file that is unpacked from one of them does not count
        try:
            done += (directory / f"{name}{_PART}").stat().st_size
        except FileNotFoundError:
            continue
    return done, _noted_bytes(state)


def _noted_bytes(state: Mapping[str, Any]) -> int | None:
    sizes = [value.get("size_bytes") for value in state.values() if isinstance(value, dict)]
    known = [size for size in sizes if isinstance(size, int) and 0 <= size < 1 << 62]
    return sum(known) if known and len(known) == len(sizes) else None


def _lock_at_once(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _wait_for_lock(fd: int, look: Callable[[], None]) -> None:
    """Waits for the lock in a thread; the looks in between only serve those who watch."""
    locked = threading.Event()

    def wait() -> None:
        fcntl.flock(fd, fcntl.LOCK_EX)
        locked.set()

    threading.Thread(target=wait, daemon=True).start()
    while not locked.wait(_LOOK_INTERVAL_S):
        look()


def _is_the_file_at(fd: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), path.stat())
    except FileNotFoundError:
        return False
