"""Which kernel the user has connected to last: one line in the run directory. Knows targets, opens no connection."""

from __future__ import annotations

import os
from pathlib import Path

_NAME = "last-connected"


def remember(run_directory: Path, target: str) -> None:
    """Keeps what `--connect` was given, or the id of the kernel; a directory that can't be written is not an error."""
    try:
        run_directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        # A target may be a URL with a key in it.
        fd = os.open(run_directory / _NAME, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(fd, "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(target + "\n")
    except OSError:
        pass  # A convenience that is missing next time, when the kernel has to be named.


def remembered(run_directory: Path) -> str | None:
    """What `remember` kept; None if nothing."""
    try:
        return (run_directory / _NAME).read_text(encoding="utf-8", errors="surrogateescape").strip() or None
    except OSError:
        return None
