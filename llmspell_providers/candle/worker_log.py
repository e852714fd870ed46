"""What one worker has written to the log that workers of the same model share. Knows files alone."""

from __future__ import annotations

import stat
from pathlib import Path

_TAIL_LINES = 12
_TAIL_BYTES = 8192


class WorkerLog:
    """A log from where it stands now."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._start = size_of(path)

    def tail(self) -> list[str]:
        """The last lines that were written since; none where there is no log that can be read."""
        path = self._path
        if path is None or not size_of(path):
            return []
        try:
            with path.open("rb") as log:
                size = size_of(path)
                began = self._start if self._start <= size else 0  # put aside meanwhile, and begun anew
                log.seek(max(began, size - _TAIL_BYTES))
                lines = log.read(_TAIL_BYTES).decode(errors="replace").splitlines()
        except OSError:
            return []
        return [line for line in lines if line.strip()][-_TAIL_LINES:]


def size_of(path: Path | None) -> int:
    """The bytes of a file; 0 where there is none that can be read."""
    try:
        status = path.stat() if path is not None else None
    except OSError:
        return 0
    return status.st_size if status is not None and stat.S_ISREG(status.st_mode) else 0
