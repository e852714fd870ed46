"""The directory that a process is in, and files that are still in theirs."""

from __future__ import annotations

import os
from pathlib import Path


def is_still(path: Path, descriptor: int) -> bool:
    """Whether an open file is the one that stands at the path: a lock on one that was removed holds off no process."""
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def own_directory() -> str | None:
    """The working directory of this process; None where it has been removed."""
    try:
        return os.getcwd()
    except FileNotFoundError:
        return None
