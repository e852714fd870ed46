"""Backups of the state: whole copies of the database as files of their own, listed, verified, restored and pruned.

A backup is a file, compressed or not, and beside it a `.json` that describes it and is written last: what lacks one is
no backup. Each belongs to the key whose client made it, or to all (the kernel's own), and limits count each owner's by
themselves; what is restored are the entries of the asker's key alone. Its methods block.
"""

from __future__ import annotations

import errno
import gzip
import hashlib
import logging
import os
import shutil
import sqlite3
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from llmspell_kernel.services.state import descriptions, entries
from llmspell_kernel.services.state.descriptions import ENDING, ENDINGS, NAME, Backup, Compression
from llmspell_kernel.services.state.places import Place
from llmspell_kernel.services.state.tables import SCHEMA
from llmspell_protocol.errors import DiskFull, InvalidRequest, NotFound, StorageDamaged, StorageError
from llmspell_storage.compression import zstd_file
from llmspell_storage.directories import private_directory
from llmspell_storage.opening import integrity_problems, opened

if TYPE_CHECKING:
    from llmspell_profiles.schema.state import BackupSettings

log = logging.getLogger(__name__)

EVERYONE = ""
"""The owner of backups that the kernel makes by itself."""
_PIECE_BYTES = 1 << 20
_MAKING = ".making-"
_LEFT_S = 86_400


class Backups:
    """The backups in the directory that the settings name."""

    def __init__(self, settings: BackupSettings) -> None:
        self._settings = settings
        self._directory = settings.backup_dir

    def new_id(self, name: str | None, now_ms: int) -> str:
        """The id of a backup to be made: when, and what it was called.

        Raises:
            InvalidRequest: it can't be a file's name.
        """
        if name is not None and not NAME.fullmatch(name):
            raise InvalidRequest(
                f"a backup can't be called '{name[:80]}'",
                hint="1 to 64 letters, digits, '.', '_' and '-'",
                details={"name": name[:80]},
            )
        moment = datetime.fromtimestamp(now_ms / 1000, UTC).strftime("%Y%m%dT%H%M%S.%f")[:-3]
        return f"{moment}-{name}" if name else moment

    def place(self) -> Path:
        """Where a copy may be made, in a directory of its own beside the backups; who asks removes the directory."""
        with self._told():
            directory = private_directory(self._directory)
            for left in directory.glob(f"{_MAKING}*"):
                # Of a kernel that was killed; one that is at it has written a moment ago.
                with suppress(FileNotFoundError):
                    if time.time() - left.stat().st_mtime > _LEFT_S:
                        shutil.rmtree(left, ignore_errors=True)
            return Path(tempfile.mkdtemp(dir=directory, prefix=_MAKING)) / "copy.db"

    def add(self, copy: Path, id: str, owner: str, now_ms: int) -> Backup:
        """Makes a backup of a copy of the database.

        Raises:
            DiskFull, StorageError: it can't be written.
        """
        connection = sqlite3.connect(copy)
        try:
            counts = dict(connection.execute("SELECT key_id, count(*) FROM entries GROUP BY key_id").fetchall())
        finally:
            connection.close()
        compression = self._compression()
        with self._told():
            written = copy
            if compression != "none":
                written = copy.with_suffix(ENDINGS[compression])
                with (
                    copy.open("rb") as source,
                    written.open("xb") as file,
                    _compressing(file, compression, self._settings.compression_level) as compressed,
                ):
                    shutil.copyfileobj(source, compressed, _PIECE_BYTES)
            id = self._reserved(id, compression)
            written.chmod(0o600)
            made = Backup(id, owner, now_ms, written.stat().st_size, counts, compression, _sha256(written))
            _synced(written)
            os.replace(written, self._file(made))
            description = copy.with_suffix(ENDING)
            description.write_text(descriptions.as_text(made), encoding="utf-8")
            description.chmod(0o600)
            _synced(description)
            os.replace(description, self._description(id))
        return made

    def all(self, owner: str | None = None) -> list[Backup]:
        """The backups, the newest first: those that a key's client may see, or every one."""
        found = []
        with self._told():
            for path in self._directory.glob(f"*{ENDING}") if self._directory.is_dir() else ():
                try:
                    found.append(descriptions.read(path))
                except FileNotFoundError:
                    continue  # It was removed a moment ago.
                except ValueError as problem:
                    log.warning("%s describes no backup: %s", path, problem)
        seen = [one for one in found if owner is None or one.owner in (EVERYONE, owner)]
        return sorted(seen, key=lambda one: (one.created_ms, one.id), reverse=True)

    def find(self, id: str, owner: str) -> Backup:
        """The backup of this id; raises `NotFound`."""
        for one in self.all(owner):
            if one.id == id:
                return one
        raise NotFound(
            f"there is no backup '{id[:80]}'", hint="State.list_backups() has the ids", details={"backup": id[:80]}
        )

    def problem(self, backup: Backup) -> str | None:
        """Why a backup is not what was made; None: it is."""
        try:
            with self.unpacked(backup):
                return None
        except (StorageError, DiskFull) as error:
            return error.message

    @contextmanager
    def unpacked(self, backup: Backup) -> Iterator[Path]:
        """A sound database file with what a backup holds; gone at the end.

        Raises:
            StorageDamaged: the file isn't what was made.
            DiskFull, StorageError: it can't be read or unpacked.
        """
        path = self._file(backup)
        with self._told(), tempfile.TemporaryDirectory(dir=self._directory, prefix=_MAKING) as place:
            if not path.is_file() or _sha256(path) != backup.sha256:
                raise _damaged(backup, path, "the file has changed" if path.is_file() else "the file is gone")
            unpacked = Path(place) / "backup.db"
            with _decompressed(path, backup.compression) as source, unpacked.open("xb") as file:
                shutil.copyfileobj(source, file, _PIECE_BYTES)
            problems = integrity_problems(unpacked, SCHEMA)
            if problems:
                raise _damaged(backup, path, problems[0])
            yield unpacked

    def obsolete(self, backups: Iterable[Backup], now_ms: int) -> list[Backup]:
        """Which of some, the newest first, the settings no longer keep: of each owner those beyond `max_backups`, and
        those that are too old. An owner's newest one always stays."""
        oldest_ms = now_ms - self._settings.max_backup_age * 1000
        most = self._settings.max_backups
        found = []
        newer: Counter[str] = Counter()
        for one in backups:
            at = newer[one.owner]
            newer[one.owner] += 1
            if at > 0 and (at >= most or one.created_ms < oldest_ms):
                found.append(one)
        return found

    def remove(self, backup: Backup) -> None:
        """Removes a backup, its description first."""
        with self._told():
            self._description(backup.id).unlink(missing_ok=True)
            self._file(backup).unlink(missing_ok=True)

    def _compression(self) -> Compression:
        wanted = self._settings.compression_type if self._settings.compression_enabled else "none"
        if wanted != "lz4":
            return wanted
        log.warning("backups of state are compressed by zstd: %s is not part of this version", wanted)
        return "zstd"

    def _reserved(self, id: str, compression: Compression) -> str:
        """The id, or where another has it (by a clock that was set back, or at the same moment) one that is free."""
        number, free = 1, id
        while True:
            # One that is compressed otherwise has other files, and its description is called the same.
            if not any((self._directory / f"{free}{ending}").exists() for ending in (*ENDINGS.values(), ENDING)):
                with suppress(FileExistsError):
                    file = self._directory / f"{free}{ENDINGS[compression]}"
                    os.close(os.open(file, os.O_CREAT | os.O_EXCL, 0o600))
                    return free
            number += 1
            free = f"{id}-{number}"

    def _file(self, backup: Backup) -> Path:
        return self._directory / f"{backup.id}{ENDINGS[backup.compression]}"

    def _description(self, id: str) -> Path:
        return self._directory / f"{id}{ENDING}"

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as problem:
            details = {"directory": str(self._directory), "database": SCHEMA.name}
            if problem.errno in (errno.ENOSPC, errno.EDQUOT):
                raise DiskFull(
                    f"there is no room for backups of state in {self._directory}",
                    hint="free some space, or set another backup_dir",
                    details=details,
                ) from None
            raise StorageError(
                f"backups of state can't be used: {problem.filename or self._directory}: {problem.strerror or problem}",
                hint=f"make {self._directory} readable and writable, or set another backup_dir",
                details=details,
            ) from None


def _compressing(file: BinaryIO, compression: str, level: int) -> BinaryIO:
    """What takes the bytes that are to be compressed into a file."""
    if compression == "gzip":
        return cast("BinaryIO", gzip.GzipFile("", "wb", level, fileobj=file, mtime=0))
    return zstd_file(file, "wb", level)


def _decompressed(path: Path, compression: str) -> BinaryIO:
    """A backup's bytes as they were before."""
    if compression == "none":
        return path.open("rb")
    return cast("BinaryIO", gzip.open(path, "rb")) if compression == "gzip" else zstd_file(path, "rb")


def restore(connection: sqlite3.Connection, backup: Path, key_id: str, now_ms: int) -> int:
    """Puts a backup's entries in the place of a key's; returns how many."""
    source = opened(SCHEMA, backup)
    try:
        for table in ("entries", "schema_versions"):
            connection.execute(f"DELETE FROM {table} WHERE key_id = ?", (key_id,))
        for (version,) in source.execute("SELECT version FROM schema_versions WHERE key_id = ?", (key_id,)):
            connection.execute("INSERT INTO schema_versions (key_id, version) VALUES (?, ?)", (key_id, version))
        count = 0
        for row in entries.all_of(source, key_id):
            if not row.is_expired(now_ms):
                place = Place(key_id, row.scope, row.key)
                entries.write(connection, place, row.text, row.changed_ms, row.expires_ms)
                count += 1
        return count
    finally:
        source.close()


def _damaged(backup: Backup, path: Path, why: str) -> StorageDamaged:
    return StorageDamaged(
        f"backup '{backup.id}' is damaged: {path}: {why}",
        hint="State.list_backups() has the others",
        details={"file": str(path), "database": SCHEMA.name, "backup": backup.id},
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _synced(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
