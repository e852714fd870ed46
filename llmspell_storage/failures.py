"""SQLite's errors as ours: what happened to which file, and what to do about it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from llmspell_protocol.errors import Busy, DiskFull, LlmspellError, StorageDamaged, StorageError
from llmspell_storage.schema import Schema

BUSY_TIMEOUT_S = 5.0
"""How long a write waits for another process that writes."""

_DAMAGED = frozenset({"SQLITE_CORRUPT", "SQLITE_NOTADB"})
_FULL = frozenset({"SQLITE_FULL"})
_BUSY = frozenset({"SQLITE_BUSY", "SQLITE_LOCKED"})
_OF_THE_FILE = frozenset({"SQLITE_CANTOPEN", "SQLITE_READONLY", "SQLITE_IOERR", "SQLITE_PERM", "SQLITE_AUTH"})


@contextmanager
def told(schema: Schema, path: Path | None) -> Iterator[None]:
    """Raises what SQLite says about the file as an error of ours; a defect in a statement stays what it is.

    Raises:
        StorageDamaged: the file is no database, or one with damaged pages.
        DiskFull: there is no room; what was written before is untouched.
        Busy: another process has been writing for `BUSY_TIMEOUT_S`.
        StorageError: the file can't be opened, read or written.
    """
    try:
        yield
    except sqlite3.Error as problem:
        error = _error(problem, schema, path)
        if error is None:
            raise
        raise error from problem


def damaged(schema: Schema, path: Path, why: str) -> StorageDamaged:
    """The error for a file that can't be read as what it is."""
    return StorageDamaged(
        f"the database with {schema.holds} is damaged: {path}: {why}",
        hint="llmspell doctor --fix moves it aside, and tells where",
        details={"file": str(path), "database": schema.name},
    )


def _error(problem: sqlite3.Error, schema: Schema, path: Path | None) -> LlmspellError | None:
    name = getattr(problem, "sqlite_errorname", "")
    kind = next((one for one in _DAMAGED | _FULL | _BUSY | _OF_THE_FILE if name.startswith(one)), None)
    place = str(path) if path is not None else "memory"
    details = {"file": place, "database": schema.name}
    if kind is None:
        return None
    if kind in _DAMAGED and path is not None:
        return damaged(schema, path, str(problem))
    if kind in _FULL:
        where = (
            "remove what is no longer needed, or keep it in a file" if path is None else "free some space on its disk"
        )
        return DiskFull(
            f"there is no room for {schema.holds}: {place}",
            hint=f"{where}; what was kept before is untouched",
            details=details,
        )
    if kind in _BUSY:
        return Busy(
            f"another process has been writing {schema.holds} for {BUSY_TIMEOUT_S:g} s: {place}",
            hint="try again; llmspell kernel status lists the kernels of this home",
            details={**details, "retry_after_s": 1},
        )
    return StorageError(
        f"the database with {schema.holds} can't be used: {place}: {problem}",
        hint=f"make {path.parent} and what is in it readable and writable" if path is not None else None,
        details=details,
    )
