"""The files that workers' standard output and error go to: opened by the kernel, put aside when they are long."""

from __future__ import annotations

import errno
import logging
import os
import stat
from pathlib import Path

LONGEST_LOG_BYTES = 10_000_000
"""A log that is longer when a worker starts is put aside."""

_UNWRITABLE: dict[tuple[Path, str], bool] = {}
"""The logs that could not be written, and why, as far as that has been told."""

log = logging.getLogger(__name__)


def open_log(path: Path | None) -> int:
    """The end of a worker's log; one that has grown long becomes `NAME.1`, in place of the one before it.

    Where it can't be written the output goes nowhere, and the kernel's log has a warning, once for a path and reason.
    """
    if path is None:
        return os.open(os.devnull, os.O_WRONLY)
    try:
        fd = _append(path)
        if os.fstat(fd).st_size <= LONGEST_LOG_BYTES:
            return fd
        os.close(fd)
        os.replace(path, f"{path}.1")
        return _append(path)
    except OSError as error:
        _UNWRITABLE.setdefault((path, error.strerror or str(error)), False)
        tell_unwritable_logs()
        return os.open(os.devnull, os.O_WRONLY)


def tell_unwritable_logs() -> None:
    """Warns of logs that workers go without, each once, and not before there is a log for warnings."""
    if all(_UNWRITABLE.values()):
        return
    if not log.hasHandlers():
        return
    for (path, reason), told in _UNWRITABLE.items():
        if not told:
            _UNWRITABLE[path, reason] = True
            log.warning("workers go on without their log %s: %s", path, reason.lower())


def _append(path: Path) -> int:
    # Not on a pipe, which would wait for its reader, or stop the worker when that goes.
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
    if stat.S_ISREG(os.fstat(fd).st_mode):
        return fd
    os.close(fd)
    raise OSError(errno.EINVAL, "it is not a file")
