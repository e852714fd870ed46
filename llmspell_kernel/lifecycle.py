"""A kernel's traces on the machine: lock, pid and connection files, stale ones cleared, and the parent watched.

A kernel runs exactly as long as it holds the `flock` on `run/kernel-<id>.lock`; pids are for people.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from llmspell_kernel.binding import remove_socket_files
from llmspell_kernel.directories import private_directory
from llmspell_protocol.connection import ConnectionInfo
from llmspell_protocol.discovery import connection_path
from llmspell_protocol.errors import Busy, LlmspellError
from llmspell_providers.candle.socket_directory import remove_stale_directories

_PARENT_POLL_S = 1.0


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
        self._extra: Path | None = None

    def claim(self) -> None:
        """Takes the kernel's id, after clearing what kernels that died have left.

        Raises:
            Busy: a running kernel has this id.
        """
        remove_stale_files(self.connection_file.parent)
        remove_stale_directories()
        self._lock_fd = _lock(self._lock_file)
        if self._lock_fd is None:
            raise Busy(
                f"Kernel daemon already running with PID file {self.pid_file}",
                hint="llmspell kernel stop, or start another one with --id and --port",
                details={"pid_file": str(self.pid_file)},
            )

    def publish(self, info: ConnectionInfo, extra: Path | None = None) -> None:
        """Writes pid and connection file; `extra` is a second place for the latter, named by the user."""
        self.pid_file.touch(mode=0o600)
        self.pid_file.write_text(f"{os.getpid()}\n")
        info.write(self.connection_file)
        if extra is not None and extra.resolve() != self.connection_file.resolve():
            self._extra = extra
            info.write(extra)

    def release(self) -> None:
        """Removes the files, the lock last."""
        for path in (self.connection_file, self.pid_file, self._extra):
            if path is not None:
                path.unlink(missing_ok=True)
        if self._lock_fd is not None:
            self._lock_file.unlink(missing_ok=True)
            os.close(self._lock_fd)
            self._lock_fd = None


def _lock(path: Path) -> int | None:
    """An exclusive lock on the file, None if another process has it; whoever only looks holds it for a moment."""
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
        if _is_still(path, fd):
            return fd
        os.close(fd)  # Its last owner removed the file between our opening and locking it.


def _is_still(path: Path, fd: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(fd))
    except FileNotFoundError:
        return False


def remove_stale_files(run_dir: Path) -> list[str]:
    """Clears what kernels that died without cleaning up have left; returns their ids."""
    removed = []
    # One that was killed while it started has left a lock and nothing else.
    names = {path.stem for pattern in ("kernel-*.json", "kernel-*.lock") for path in run_dir.glob(pattern)}
    for name in sorted(names):
        connection_file = run_dir / f"{name}.json"
        lock_file = run_dir / f"{name}.lock"
        try:
            fd = os.open(lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError:
            continue
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue
        else:
            _forget_sockets(connection_file)
            for path in (connection_file, connection_file.with_suffix(".pid"), lock_file):
                path.unlink(missing_ok=True)
            removed.append(name.removeprefix("kernel-"))
        finally:
            os.close(fd)
    return removed


def _forget_sockets(connection_file: Path) -> None:
    try:
        remove_socket_files(ConnectionInfo.read(connection_file))
    except LlmspellError:
        pass  # A damaged file names no sockets; it goes all the same.


def watch_parent(pid: int, on_end: Callable[[], None]) -> None:
    """Calls `on_end` when the process that started this kernel has ended; call on the loop."""
    loop = asyncio.get_running_loop()
    if sys.platform == "linux":
        try:
            fd = os.pidfd_open(pid)
        except ProcessLookupError:
            loop.call_soon(on_end)
            return

        def ended() -> None:
            loop.remove_reader(fd)
            os.close(fd)
            on_end()

        loop.add_reader(fd, ended)
        return

    # Elsewhere nothing tells the end of a process that is not a child; ipykernel looks once a second as well.
    def look() -> None:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            on_end()
        else:
            loop.call_later(_PARENT_POLL_S, look)

    look()
