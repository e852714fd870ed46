"""Opening a database file: private, in write-ahead mode, and brought to the version that this program knows.

Nothing is written to a file before it is known to be ours or empty. The first that is written to an empty one is whose
it is, and only then write-ahead mode: what was cut at any moment is ours or empty still.

Several kernels and commands may open one file at once; one of them migrates, under a lock beside the file. Its methods
block. Knows no threads.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import sqlite3
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from llmspell_protocol.errors import StorageError, StorageVersion
from llmspell_storage.directories import private_directory
from llmspell_storage.failures import BUSY_TIMEOUT_S, told
from llmspell_storage.schema import Schema, statements
from llmspell_storage.transactions import writing

log = logging.getLogger(__name__)

MAX_MEMORY_BYTES = 1 << 30
"""What a database in memory may take: scripts that fill one must not end the kernel."""

APPLICATION_ID = 0x6C6C6D73
"""`llms`: what the header of our databases says of whom they are (`PRAGMA application_id`)."""

_MAKING = threading.Lock()
"""Held while a file is made: no connection of this process may be to it when the file is closed."""


def opened(schema: Schema, path: Path | None) -> sqlite3.Connection:
    """A connection to the database at `path`, made or migrated if need be; None: one in memory.

    It commits by itself outside of a transaction; rows are tuples.

    Raises:
        StorageVersion: a later version of this program has written it.
        StorageError, DiskFull, Busy: as `told`; also for a database that isn't ours.
    """
    with told(schema, path):
        if path is None:
            connection = _connection(":memory:")
            page_bytes = int(connection.execute("PRAGMA page_size").fetchone()[0])
            connection.execute(f"PRAGMA max_page_count = {MAX_MEMORY_BYTES // page_bytes}")
            return _migrated(connection, schema)
        _make_file(schema, path)
        if _is_empty(schema, path):
            with _locked(schema, path):
                _mark(schema, path)
        connection = _connection(str(path))
        try:
            _demand_ours(connection, schema, path)
            connection.execute("PRAGMA journal_mode = WAL")
            # A commit is in the file's log before it returns, and survives the end of the process; what a power cut
            # takes are the last ones, never what was there before.
            connection.execute("PRAGMA synchronous = NORMAL")
            if _version(connection) != schema.version:
                with _locked(schema, path):
                    _bring_up(connection, schema, path)
        except BaseException:
            connection.close()
            raise
        return connection


def write_copy(connection: sqlite3.Connection, target: Path) -> None:
    """Writes the database into a new file, compacted, which is there when it is whole; its owner's alone."""
    partial = target.with_name(target.name + ".part")
    try:
        partial.unlink(missing_ok=True)
        connection.execute("VACUUM INTO ?", (str(partial),))
        os.chmod(partial, 0o600)
        os.replace(partial, target)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def integrity_problems(path: Path, schema: Schema, limit: int = 10) -> list[str]:
    """What `PRAGMA integrity_check` says of a file, at most `limit` lines; nothing: it is sound."""
    try:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=BUSY_TIMEOUT_S)
        try:
            rows = connection.execute(f"PRAGMA integrity_check({limit})").fetchall()
        finally:
            connection.close()
    except sqlite3.DatabaseError as problem:
        return [str(problem)]
    said = [str(row[0]) for row in rows]
    return [] if said == ["ok"] else said


def _connection(place: str) -> sqlite3.Connection:
    connection = sqlite3.connect(place, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA foreign_keys = ON")
    return connection


def _make_file(schema: Schema, path: Path) -> None:
    """SQLite would give a new file everyone's mode; the files beside it get the mode of this one.

    A file that is there is not opened: when a process closes a file, the locks of all its connections to it are gone
    (https://www.sqlite.org/howtocorrupt.html#_posix_advisory_locks_canceled_by_a_separate_thread_doing_close_), and
    another process would remove the log that they write.
    """
    private_directory(path.parent)
    try:
        with _MAKING, suppress(FileExistsError):
            # Of a link it is what it leads to that is made.
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            os.close(os.open(os.path.realpath(path), flags, 0o600))
        why = _why_unusable(path)
    except OSError as problem:
        why = problem.strerror
    if why is not None:
        raise StorageError(
            f"the database with {schema.holds} can't be used: {path}: {why}",
            hint="it has to be a file that you may read and write",
            details={"file": str(path), "database": schema.name},
        )


def _why_unusable(path: Path) -> str | None:
    mode = path.stat().st_mode
    if stat.S_ISDIR(mode):
        return os.strerror(errno.EISDIR)
    if not stat.S_ISREG(mode):
        return "it is no file"
    return None if os.access(path, os.R_OK | os.W_OK) else os.strerror(errno.EACCES)


def _is_empty(schema: Schema, path: Path) -> bool:
    """Whether a database is empty; False: it is ours. SQLite is not let write to it.

    Raises:
        StorageError: it is another program's.
    """
    # Without a log beside it SQLite is told that nothing changes the file: else it would make one, and undo what was
    # cut, which is the matter of whose it is.
    file = Path(os.path.realpath(path))
    alone = not file.with_name(file.name + "-wal").exists()
    uri = f"{file.as_uri()}?mode=ro{'&immutable=1' if alone else ''}"
    connection = sqlite3.connect(uri, uri=True, timeout=BUSY_TIMEOUT_S, isolation_level=None)
    try:
        connection.execute("BEGIN")
        return not _is_ours(connection, schema, path)
    finally:
        connection.close()


def _mark(schema: Schema, path: Path) -> None:
    """Writes into an empty file whose it is."""
    connection = _connection(str(path))
    try:
        # Its owner may give pages back that are free; a file that was made before can only use them again.
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        with writing(connection):
            if not _is_ours(connection, schema, path):
                connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    finally:
        connection.close()


def _is_ours(connection: sqlite3.Connection, schema: Schema, path: Path) -> bool:
    application = int(connection.execute("PRAGMA application_id").fetchone()[0])
    if application == APPLICATION_ID:
        return True
    holds = connection.execute("SELECT EXISTS (SELECT 1 FROM sqlite_master)").fetchone()[0]
    if application or holds or _version(connection):
        raise _of_another(schema, path)
    return False


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


@contextmanager
def _locked(schema: Schema, path: Path) -> Iterator[None]:
    """Of those that would migrate at the same time one does; the others wait, and find it done."""
    lock = path.with_name(path.name + ".lock")
    try:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as problem:
        raise StorageError(
            f"the database with {schema.holds} can't be migrated: {lock}: {problem.strerror}",
            hint=f"make {path.parent} writable",
            details={"file": str(path), "database": schema.name},
        ) from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _bring_up(connection: sqlite3.Connection, schema: Schema, path: Path) -> None:
    version = _version(connection)
    if version > schema.version:
        raise StorageVersion(
            f"{path} was written by a later version of llmspell: it has version {version} of its tables, "
            f"and this one knows {schema.version}",
            hint="use that version of llmspell, or another LLMSPELL_HOME",
            details={"file": str(path), "database": schema.name, "version": version, "known": schema.version},
        )
    if 0 < version < schema.version:
        backup = path.with_name(f"{path.name}.version-{version}.backup")
        if not backup.exists():
            write_copy(connection, backup)
        log.info("%s: migrated from version %d to %d; before that: %s", path, version, schema.version, backup)
    _migrated(connection, schema)


def _migrated(connection: sqlite3.Connection, schema: Schema) -> sqlite3.Connection:
    """All migrations that are lacking, in one transaction: after a crash it has the old version, whole."""
    with writing(connection):
        for migration in schema.migrations[_version(connection) :]:
            if isinstance(migration, str):
                for statement in statements(migration):
                    connection.execute(statement)
            else:
                migration(connection)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {schema.version}")
    return connection


def _demand_ours(connection: sqlite3.Connection, schema: Schema, path: Path) -> None:
    if connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
        raise _of_another(schema, path)


def _of_another(schema: Schema, path: Path) -> StorageError:
    return StorageError(
        f"{path} is a database of another program",
        hint="name another file in the configuration",
        details={"file": str(path), "database": schema.name},
    )
