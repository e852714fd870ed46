"""The kernel's log file: private, rotated by size, the older ones compressed. Knows no levels and no formats.

Whatever happens to the file, logging never raises and never stops the kernel: lines that can't be written are counted,
and the next one that can says how many are missing.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections.abc import Callable
from pathlib import Path


class LogFile(logging.Handler):
    """A log that only its owner can read, `PATH`, and beside it `PATH.1.gz`, `PATH.2.gz` … from new to old.

    Before the first line there is no file, unless `open` makes it. `remark` makes a line of this log from a text. Bytes
    go straight to the descriptor: a buffer would keep and repeat what a full disk refused.
    """

    def __init__(self, path: Path, remark: Callable[[str], str]) -> None:
        super().__init__()
        self.rotate_bytes = 0
        self.rotate_count = 0
        self._path = path
        self.remark = remark
        self._fd: int | None = None
        self._lost = 0
        self._why = ""
        self._compressing: threading.Thread | None = None

    def open(self) -> None:
        """Makes the file.

        Raises:
            OSError: it can't be written.
        """
        self.acquire()
        try:
            self._ready()
        finally:
            self.release()

    def emit(self, record: logging.LogRecord) -> None:
        """Writes a line, in a new file if the old one is full."""
        data = _encoded(self.format(record))
        if self._lost:
            missing = "1 line is" if self._lost == 1 else f"{self._lost} lines are"
            data = _encoded(self.remark(f"{missing} missing here: {self._why}")) + data
        try:
            self._write(data)
        except OSError as error:
            self._lost += 1
            self._why = error.strerror or str(error)
        else:
            self._lost = 0

    def close(self) -> None:
        """Closes the file; what is being compressed is waited for."""
        self.acquire()
        try:
            self._close_file()
            self._finish_compressing()
            self._forget_empty()
        finally:
            self.release()
        super().close()

    def _forget_empty(self) -> None:
        """Removes a log in which nothing stands."""
        with contextlib.suppress(OSError):
            if not self._path.stat().st_size:
                self._path.unlink()

    def _write(self, data: bytes) -> None:
        fd, size = self._ready()
        if size and self.rotate_bytes and size + len(data) > self.rotate_bytes:
            with contextlib.suppress(OSError):  # Rather a file that grows than lines that are lost.
                self._rotate()
            fd, size = self._ready()
        written = 0
        try:
            while written < len(data):
                written += os.write(fd, data[written:])
        except OSError:
            if written:
                os.ftruncate(fd, size)  # Half a line would make the next one unreadable.
            raise

    def _ready(self) -> tuple[int, int]:
        """The open file and its size; opened again when another process has moved or removed it."""
        if self._fd is not None:
            mine = os.fstat(self._fd)
            try:
                if os.path.samestat(mine, self._path.stat()):
                    return self._fd, mine.st_size
            except FileNotFoundError:
                pass  # It is made again below.
            self._close_file()
        self._fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        return self._fd, os.fstat(self._fd).st_size

    def _close_file(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _finish_compressing(self) -> None:
        if self._compressing is not None:
            self._compressing.join()
            self._compressing = None

    def _rotate(self) -> None:
        self._finish_compressing()
        self._close_file()
        if not self.rotate_count:
            self._path.unlink()
            return
        newest = self._named(1)
        if newest.exists():
            _compress(newest, self._packed(1))  # A kernel that was killed has left it.
        self._forget_oldest()
        for number in range(self.rotate_count - 1, 0, -1):
            if self._packed(number).exists():
                self._packed(number).replace(self._packed(number + 1))
        self._path.replace(newest)
        # Ten megabytes take a quarter of a second, which no request should wait for.
        self._compressing = threading.Thread(target=_compress, args=(newest, self._packed(1)), name="compress log")
        self._compressing.start()

    def _forget_oldest(self) -> None:
        number = self.rotate_count
        while self._packed(number).exists():
            self._packed(number).unlink()
            number += 1

    def _named(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")

    def _packed(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}.gz")


def remove_empty_logs(directory: Path, run_dir: Path) -> None:
    """Removes the logs of ended kernels in which nothing stands."""
    for path in directory.glob("kernel-*.log"):
        with contextlib.suppress(OSError):
            if not path.stat().st_size and not (run_dir / f"{path.stem}.lock").exists():
                path.unlink()


def _encoded(line: str) -> bytes:
    return (line + "\n").encode("utf-8", "backslashreplace")


def _compress(source: Path, target: Path) -> None:
    """Packs a file and removes it; where that fails it stays as it is."""
    import gzip
    import shutil

    unfinished = target.with_name(f"{target.name}.part")
    try:
        fd = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with source.open("rb") as plain, os.fdopen(fd, "wb") as file, gzip.open(file, "wb", 6) as packed:
            shutil.copyfileobj(plain, packed)
        unfinished.replace(target)
        source.unlink()
    except OSError:
        with contextlib.suppress(OSError):
            unfinished.unlink(missing_ok=True)
