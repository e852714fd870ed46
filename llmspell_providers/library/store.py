"""The models that are on disk: one directory a model, with a lock that holds between processes. Knows no network.

`<directory>/<name>/<variant or "default">/` holds the model's files, `manifest.json` and `lock`; names are escaped so
that none leaves the directory. `<directory>/.partial/` belongs to pulls. Everything here blocks (hashing, deleting):
callers on an event loop use a thread.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import logging
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING
from urllib.parse import quote

from llmspell_protocol.errors import InvalidRequest, ModelInUse, ModelNotFound
from llmspell_providers.library.context_memory import ContextMemory
from llmspell_providers.library.manifest import (
    DEFAULT_QUANTIZATION,
    FILE_NAME,
    Manifest,
    ManifestFile,
    ManifestInvalid,
    read_manifest,
    write_manifest,
)
from llmspell_providers.spec import ModelSpec

if TYPE_CHECKING:
    from llmspell_protocol.areas.model import VerifiedFile, VerifiedModel

PARTIAL_DIRECTORY = ".partial"
_NO_VARIANT = "default"
_LOCK_FILE = "lock"
_LONGEST_SEGMENT = 200
_NOT_WRITABLE = (errno.EACCES, errno.EPERM, errno.EROFS)

_log = logging.getLogger(__name__)


def segment(text: str) -> str:
    """A name as one path segment: reversible, never `.`, `..` or hidden, no separator.

    Raises:
        InvalidRequest: the name is longer than file systems allow.
    """
    escaped = quote(text, safe=" +=@,()[]")
    if escaped.startswith("."):
        escaped = "%2E" + escaped[1:]
    if not escaped or len(escaped) > _LONGEST_SEGMENT:
        raise InvalidRequest(f"'{text[:40]}…' is too long for a model's name" if text else "a model's name is empty")
    return escaped


def spec_name(spec: ModelSpec) -> str:
    """What a model of this spec is called in the store, without its variant."""
    model = "".join("-" if letter in ":@/\\" or letter.isspace() else letter for letter in spec.model)
    return f"{spec.provider}/{model}" if spec.provider else model


class Hold:
    """A model that is in use by this process until `close`; other processes' `remove` is refused meanwhile."""

    def __init__(self, fd: int) -> None:
        self._fd: int | None = fd

    def close(self) -> None:
        """Releases the model; a second call does nothing."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def __enter__(self) -> Hold:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Store:
    """The models below one directory, which is created by the first pull."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._known: dict[Path, tuple[tuple[int, int, int], Manifest]] = {}

    def list(self) -> list[Manifest]:
        """Every installed model, by name; a directory whose manifest cannot be read is logged and left out."""
        found = []
        for path in sorted(self.directory.glob(f"[!.]*/*/{FILE_NAME}")):
            try:
                found.append(self._read(path))
            except FileNotFoundError:
                continue  # removed since it was listed
            except ManifestInvalid as error:
                _log.warning("%s is left out: %s", path, error)
        return found

    def _read(self, path: Path) -> Manifest:
        """The manifest at a path; one that was read before and is the same file still is not read again.

        Each chat looks its model up here. A manifest is only ever replaced whole, so a changed one is another file.
        """
        status = path.stat()
        version = (status.st_ino, status.st_mtime_ns, status.st_size)
        known = self._known.get(path)
        if known is None or known[0] != version:
            known = self._known[path] = (version, read_manifest(path.parent))
        return known[1]

    def find(self, spec: ModelSpec) -> Manifest | None:
        """The installed model that a spec means, or None.

        The variant decides, in any case of letters; without one, the only installed variant or else the default.

        Raises:
            InvalidRequest: several variants are installed and none of them is the default.
        """
        name = spec_name(spec)
        manifests = [manifest for manifest in self.list() if manifest.name.lower() == name.lower()]
        if spec.variant is not None:
            wanted = spec.variant.lower()
            return next((found for found in manifests if (found.variant or _NO_VARIANT).lower() == wanted), None)
        if len(manifests) <= 1:
            return manifests[0] if manifests else None
        for variant in (None, self._default_variant(spec), DEFAULT_QUANTIZATION):
            for manifest in manifests:
                if manifest.variant == variant:
                    return manifest
        variants = ", ".join(manifest.id for manifest in manifests)
        raise InvalidRequest(
            f"'{name}' is installed in several variants: {variants}",
            hint="name one of them",
            details={"model": name, "variants": [manifest.variant for manifest in manifests]},
        )

    def _default_variant(self, spec: ModelSpec) -> str | None:
        # Only an ambiguous name needs the catalog.
        from llmspell_providers.library.catalog import Catalog

        entry = Catalog.load().find(spec)
        return None if entry is None else entry.variant or entry.default_quantization

    def directory_of(self, manifest: Manifest) -> Path:
        """Where the model's files are."""
        return self.place(manifest.name, manifest.variant)

    def place(self, name: str, variant: str | None) -> Path:
        """The directory of a model of this name, installed or not."""
        return self.directory / segment(name) / segment(variant or _NO_VARIANT)

    def partial_place(self, name: str, variant: str | None) -> Path:
        """The directory of an unfinished pull of a model of this name."""
        return self.directory / PARTIAL_DIRECTORY / segment(f"{name}:{variant or _NO_VARIANT}")

    def path(self, manifest: Manifest) -> Path:
        """The file that an engine is pointed at."""
        return self.directory_of(manifest) / manifest.main_file.name

    def is_complete(self, manifest: Manifest) -> bool:
        """Whether every file is there with its size; contents are `verify`'s."""
        directory = self.directory_of(manifest)
        try:
            return all((directory / file.name).stat().st_size == file.size_bytes for file in manifest.files)
        except FileNotFoundError:
            return False

    def hold(self, manifest: Manifest) -> Hold:
        """Marks a model as in use by this process, until the hold is closed or the process ends.

        Raises:
            ModelNotFound: it was removed in the meantime.
        """
        directory = self.directory_of(manifest)
        try:
            fd = self._open_lock(manifest)
        except OSError as error:
            if error.errno not in _NOT_WRITABLE:
                raise
            # No process of this user can remove a model from this directory: there is nothing to lock.
            return Hold(os.open(directory / FILE_NAME, os.O_RDONLY))
        try:
            if _lock_at_once(fd, fcntl.LOCK_EX):
                os.ftruncate(fd, 0)  # no other process holds it: the pids of earlier ones go
            fcntl.flock(fd, fcntl.LOCK_SH)
            if os.fstat(fd).st_nlink == 0:
                raise ModelNotFound(f"Model '{manifest.id}' is no longer installed")
            os.write(fd, f"{os.getpid()}\n".encode())
        except BaseException:
            os.close(fd)
            raise
        return Hold(fd)

    def remove(self, manifest: Manifest, *, force: bool = False) -> int:
        """Deletes a model; returns the bytes freed.

        Raises:
            ModelInUse: a process has it loaded, and `force` is not given.
            ModelNotFound: it was removed in the meantime.
        """
        directory = self.directory_of(manifest)
        fd = self._open_lock(manifest)
        try:
            if not _lock_at_once(fd, fcntl.LOCK_EX) and not force:
                pids = _living(os.pread(fd, 1 << 16, 0))
                raise ModelInUse(
                    f"Model '{manifest.id}' is in use by process {', '.join(map(str, pids)) or '(unknown)'}",
                    hint=f"llmspell model unload {manifest.id}, or llmspell model remove --force {manifest.id}",
                    details={"model": manifest.id, "pids": pids},
                )
            freed = sum(_size(directory / file.name) for file in manifest.files)
            # The manifest first: from then on the model is gone for every reader.
            (directory / FILE_NAME).unlink(missing_ok=True)
            shutil.rmtree(directory)
        finally:
            os.close(fd)
        try:
            directory.parent.rmdir()
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT):  # another variant stays, or is gone
                raise
        return freed

    def _open_lock(self, manifest: Manifest) -> int:
        try:
            return os.open(self.directory_of(manifest) / _LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        except FileNotFoundError:
            raise ModelNotFound(f"Model '{manifest.id}' is no longer installed") from None

    def verify(self, manifest: Manifest) -> VerifiedModel:
        """Reads every file and compares it with the manifest."""
        # A seldom request; its classes take milliseconds to make.
        from llmspell_protocol.areas.model import VerifiedModel

        directory = self.directory_of(manifest)
        files = [_verified(directory, file) for file in manifest.files]
        return VerifiedModel(model=manifest.id, ok=all(file.ok for file in files), files=files)

    def record_memory_ratio(self, manifest: Manifest, setting: str, ratio: float) -> Manifest:
        """Keeps measured ÷ estimated memory of a load for the next estimate; returns the new manifest.

        Raises:
            OSError: the model was removed meanwhile, or its directory cannot be written.
            ManifestInvalid: its manifest was damaged meanwhile.
        """
        return self._record(manifest, lambda current: current.with_memory_ratio(setting, ratio))

    def record_memory(self, manifest: Manifest, memory: ContextMemory) -> Manifest:
        """Keeps what the model's file says about its memory; returns and raises as `record_memory_ratio` does."""
        return self._record(manifest, lambda current: replace(current, memory=memory, memory_ratios={}))

    def _record(self, manifest: Manifest, change: Callable[[Manifest], Manifest]) -> Manifest:
        directory = self.directory_of(manifest)
        # What is on disk now: another load may have noted something else.
        changed = change(read_manifest(directory))
        write_manifest(directory, changed)
        return changed


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb", buffering=0) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _verified(directory: Path, file: ManifestFile) -> VerifiedFile:
    from llmspell_protocol.areas.model import VerifiedFile

    try:
        actual = sha256_of(directory / file.name)
    except FileNotFoundError:
        actual = None
    return VerifiedFile(name=file.name, ok=actual == file.sha256, expected=file.sha256, actual=actual)


def _lock_at_once(fd: int, kind: int) -> bool:
    try:
        fcntl.flock(fd, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _living(recorded: bytes) -> list[int]:
    pids = dict.fromkeys(int(line) for line in recorded.split() if line.isdigit())
    return [pid for pid in pids if _is_alive(pid)]


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
