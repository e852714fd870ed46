"""A kernel's traces on the machine: lock, pid and connection files, stale ones cleared, and the parent watched.

A kernel runs exactly as long as it holds the `flock` on `run/kernel-<id>.lock`, and its pid file is locked as well,
wherever it stands; pids themselves are for people.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from llmspell_kernel.directories import is_still
from llmspell_kernel.doors.binding import remove_socket_files
from llmspell_protocol.connection import ConnectionInfo
from llmspell_protocol.discovery import connection_path, is_running
from llmspell_protocol.errors import Busy, ConfigError, LlmspellError
from llmspell_providers.candle.socket_directory import remove_stale_directories, stale_directories
from llmspell_storage.directories import private_directory


def run_directory(home: Path) -> Path:
    """`run/` below the home, made if missing as the home itself is, readable by its owner only."""
    directory = private_directory(home / "run")
    if directory.stat().st_mode & 0o077:
        directory.chmod(0o700)
    return directory


class RunFiles:
    """The files of one running kernel; `claim` before binding, `publish` when it answers, `release` at the end."""

    def __init__(self, run_dir: Path, kernel_id: str, *, pid_file: Path | None = None) -> None:
        self.connection_file = connection_path(run_dir, kernel_id)
        self.pid_file = pid_file or self.connection_file.with_suffix(".pid")
        self._lock_file = self.connection_file.with_suffix(".lock")
        self._lock_fd: int | None = None
        self._pid_fd: int | None = None
        self._extra: Path | None = None

    def claim(self) -> None:
        """Takes the kernel's id and its pid file, after clearing what kernels that died have left.

        Raises:
            Busy: a running kernel has this id, or this pid file.
            ConfigError: one of its files can't be written, or the pid file is a file of another kind.
        """
        run_dir = self.connection_file.parent
        remove_stale_files(run_dir)
        remove_stale_directories()
        try:
            self._claim()
        except OSError as error:
            self.release()
            raise ConfigError(
                f"cannot write the kernel's files in {run_dir}: {error.strerror}",
                hint="make room there, or set LLMSPELL_HOME to a directory that you may write to",
                details={"path": str(run_dir)},
            ) from None
        except BaseException:
            self.release()
            raise

    def _claim(self) -> None:
        self._lock_fd = _lock(self._lock_file)
        if self._lock_fd is None:
            raise _running(_pid_file_of(self._lock_file) or self.pid_file)
        self._pid_fd = self._lock_pid_file()
        _write(self._lock_fd, str(self.pid_file.absolute()))
        _write(self._pid_fd, str(os.getpid()))

    def publish(self, info: ConnectionInfo, extra: Path | None = None) -> None:
        """Writes the connection file; `extra` is a second place for it, named by the user.

        Raises:
            ConfigError: one of them can't be written.
        """
        places = [self.connection_file]
        if extra is not None and extra.resolve() != self.connection_file.resolve():
            places.append(extra)
        for path in places:
            try:
                info.write(path)
            except OSError as error:
                raise ConfigError(
                    f"cannot write the connection file {path}: {error.strerror}",
                    hint="name another with --connection-file" if path == extra else None,
                    details={"connection_file": str(path)},
                ) from None
            self._extra = path if path == extra else None

    def release(self) -> None:
        """Removes the files that are this kernel's, the lock last."""
        if self._lock_fd is None:
            return
        for path in (self.connection_file, self._extra):
            if path is not None:
                path.unlink(missing_ok=True)
        if self._pid_fd is not None:
            self.pid_file.unlink(missing_ok=True)
            os.close(self._pid_fd)
            self._pid_fd = None
        self._lock_file.unlink(missing_ok=True)
        os.close(self._lock_fd)
        self._lock_fd = None

    def _lock_pid_file(self) -> int:
        try:
            fd = _lock(self.pid_file)
        except OSError as error:
            raise ConfigError(
                f"cannot write the PID file {self.pid_file}: {error.strerror}",
                hint="name another with --pid-file",
                details={"pid_file": str(self.pid_file)},
            ) from None
        if fd is None:
            raise _running(self.pid_file)
        if not _is_pid(os.pread(fd, 64, 0)):
            os.close(fd)
            raise ConfigError(
                f"{self.pid_file} is not a PID file: it holds something else than a process id",
                hint="name another with --pid-file",
                details={"pid_file": str(self.pid_file)},
            )
        return fd


def _running(pid_file: Path) -> Busy:
    return Busy(
        f"Kernel daemon already running with PID file {pid_file}",
        hint="llmspell kernel stop, or start another one with --id and --port",
        details={"pid_file": str(pid_file)},
    )


def _pid_file_of(lock_file: Path) -> Path | None:
    """The pid file of the kernel that has a lock file; None while it has not written it yet."""
    try:
        text = lock_file.read_text(encoding="utf-8", errors="surrogateescape").strip()
    except OSError:
        return None
    return Path(text) if text else None


def _is_pid(content: bytes) -> bool:
    """Whether a file with this content is a pid file; one that was only just made is empty."""
    return not content.strip() or content.strip().isdigit()


def _write(fd: int, text: str) -> None:
    os.ftruncate(fd, 0)
    os.pwrite(fd, f"{text}\n".encode("utf-8", "surrogateescape"), 0)


def _lock(path: Path) -> int | None:
    """An exclusive lock on the file, None if another process has it; one that only looks holds it briefly."""
    deadline = time.monotonic() + 0.5
    while True:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            if time.monotonic() > deadline:
                return None
            time.sleep(0.01)
            continue
        if is_still(path, fd):
            return fd
        os.close(fd)  # Its last owner removed the file between our opening and locking it.


def engine_leftovers() -> list[Path]:
    """Directories of engines' sockets that killed kernels and commands have left."""
    return stale_directories()


def remove_engine_leftovers() -> None:
    """Clears them."""
    remove_stale_directories()


def remove_stale_files(run_dir: Path) -> list[str]:
    """Clears what kernels that died without cleaning up have left; returns their ids."""
    removed = []
    # One that was killed while it started has left a lock and nothing else.
    names = {path.stem for pattern in ("kernel-*.json", "kernel-*.lock") for path in run_dir.glob(pattern)}
    for name in sorted(names):
        connection_file = run_dir / f"{name}.json"
        lock_file = run_dir / f"{name}.lock"
        with _held(lock_file) as mine:
            if not mine:
                continue
            _forget_sockets(connection_file)
            for pid_file in {connection_file.with_suffix(".pid"), _pid_file_of(lock_file)}:
                _remove_stale_pid_file(pid_file)
            connection_file.unlink(missing_ok=True)
            lock_file.unlink(missing_ok=True)
            removed.append(name.removeprefix("kernel-"))
    _remove_stale_notebooks(run_dir)
    return removed


def _remove_stale_notebooks(run_dir: Path) -> None:
    """Clears what kernels that died have told of notebooks."""
    for path in run_dir.glob("notebook-*.json"):
        # Few kernels leave any.
        import json

        try:
            stale = not is_running(run_dir, json.loads(path.read_bytes())["kernel"])
        except (OSError, ValueError, LookupError, TypeError, LlmspellError):
            continue  # It is being written or removed, or is not ours.
        if stale:
            path.unlink(missing_ok=True)


@contextmanager
def _held(path: Path, *, create: bool = True) -> Iterator[bool]:
    """Whether the file's lock is free; for the block it is held, and the file is still the one of this name."""
    flags = os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT if create else 0)
    try:
        fd = os.open(path, flags, 0o600)
    except OSError:
        yield False
        return
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            # It may have been removed since it was opened, and made again by a kernel that starts.
            yield is_still(path, fd)
    finally:
        os.close(fd)


def _remove_stale_pid_file(path: Path | None) -> None:
    if path is None:
        return
    with _held(path, create=False) as mine:
        if mine and _is_pid(path.read_bytes()):
            path.unlink(missing_ok=True)


def _forget_sockets(connection_file: Path) -> None:
    try:
        remove_socket_files(ConnectionInfo.read(connection_file))
    except LlmspellError:
        pass  # A damaged file names no sockets; it goes all the same.
