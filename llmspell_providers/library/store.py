"""The models that are on disk: one directory a model, with a lock that holds between processes. Knows no network.

`<directory>/<name>/<variant or "default">/` holds the model's files, `manifest.json` and `lock`; names are escaped so
that none leaves the directory. `<directory>/.partial/` belongs to pulls. Whatever is wrong with one model's files is
that model's alone. Everything here blocks (hashing, deleting): callers on an event loop use a thread.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple

from llmspell_protocol.errors import InvalidRequest, ModelInUse, ModelNotFound
from llmspell_providers.library.context_memory import ContextMemory
from llmspell_providers.library.damage import Damage, damage_of, manifest_damage
from llmspell_providers.library.manifest import (
    DEFAULT_QUANTIZATION,
    FILE_NAME,
    Manifest,
    ManifestFile,
    ManifestInvalid,
    read_manifest,
    write_manifest,
)
from llmspell_providers.library.names import (
    NO_VARIANT,
    earlier_segment,
    folded,
    normalized,
    segment,
    short_segment,
    spec_name,
)
from llmspell_providers.library.places import model_places
from llmspell_providers.library.regular_file import Unreadable, reason_of, regular_status
from llmspell_providers.library.removal import cannot_delete, is_alive, remove_model
from llmspell_providers.spec import ModelSpec

if TYPE_CHECKING:
    from llmspell_protocol.areas.model import VerifiedFile, VerifiedModel

PARTIAL_DIRECTORY = ".partial"
_LOCK_FILE = "lock"

Found = list[Manifest | Damage]

_log = logging.getLogger(__name__)


class Survey(NamedTuple):
    """All that is on the disk."""

    whole: list[Manifest]
    damaged: list[Damage]


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
        self._known: dict[Path, tuple[tuple[int, int, int, int], Manifest | str]] = {}
        self._logged: set[Damage] = set()

    def list(self) -> list[Manifest]:
        """Every model whose manifest can be used, by name; what else there is, `survey` tells.

        Raises:
            ConfigError: the directory itself can't be read.
        """
        return [manifest for manifest in self._looked() if isinstance(manifest, Manifest)]

    def survey(self) -> Survey:
        """The models that are whole, as far as sizes tell, and those that are damaged, in the order of their names.

        Raises:
            ConfigError: the directory itself can't be read.
        """
        survey = Survey([], [])
        for found in self._looked():
            damage = found if isinstance(found, Damage) else self.damage(found)
            if damage is not None:
                survey.damaged.append(damage)
                self._log_once(damage)
            elif isinstance(found, Manifest):
                survey.whole.append(found)
        return survey

    def damage(self, manifest: Manifest) -> Damage | None:
        """What is wrong with a model's files, as far as their sizes tell."""
        return damage_of(manifest, self.directory_of(manifest))

    def _looked(self) -> Sequence[Manifest | Damage]:
        found: Found = []
        for place in model_places(self.directory):
            if place.problem is not None:
                damage = Damage(place.name, place.variant, place.path, place.problem)
            else:
                try:
                    manifest = self._read(place.path)
                except FileNotFoundError:
                    continue  # no model, or removed since it was listed
                except ManifestInvalid as error:
                    damage = manifest_damage(place.name, place.variant, place.path, str(error))
                else:
                    if (normalized(manifest.name), manifest.variant) == (place.name, place.variant):
                        found.append(manifest)
                        continue
                    why = f"is that of another model, {ascii(manifest.id)[:100]}"
                    damage = manifest_damage(place.name, place.variant, place.path, why)
            found.append(damage)
        return found

    def _log_once(self, damage: Damage) -> None:
        if damage not in self._logged:
            self._logged.add(damage)
            _log.warning("model %s is damaged: %s (%s)", ascii(damage.id)[1:-1], damage.reason, damage.shown_path)

    def _read(self, directory: Path) -> Manifest:
        """The manifest in a directory; one that was read before and is the same file still is not read again.

        Each chat looks its model up here. A manifest is only ever replaced whole, so a changed one is another file.
        """
        try:
            status = regular_status(directory / FILE_NAME)
        except Unreadable as error:
            raise ManifestInvalid(str(error)) from error
        version = (status.st_ino, status.st_mtime_ns, status.st_ctime_ns, status.st_size)
        known = self._known.get(directory)
        if known is None or known[0] != version:
            known = self._known[directory] = (version, _read_or_refuse(directory))
        if isinstance(known[1], str):
            raise ManifestInvalid(known[1])
        return known[1]

    def find(self, spec: ModelSpec) -> Manifest | None:
        """The installed model that a spec means, or None.

        The variant decides, in any case of letters; without one, the only installed variant or else the default.

        Raises:
            InvalidRequest: several variants are installed and none of them is the default.
            ModelLoadFailed: there is one, and its manifest can't be used.
            ConfigError: the directory of all models can't be read.
        """
        name = spec_name(spec)
        named = [found for found in self._looked() if folded(found.name) == folded(name)]
        exact = [found for found in named if found.name == name]
        manifests = [found for found in exact or named if isinstance(found, Manifest)]
        damaged = [found for found in exact or named if isinstance(found, Damage)]
        if spec.variant is not None:
            wanted = folded(spec.variant)
            manifests = [found for found in manifests if folded(found.variant or NO_VARIANT) == wanted]
            damaged = [found for found in damaged if folded(found.variant or NO_VARIANT) == wanted]
        if not manifests and damaged:
            raise damaged[0].error()
        if spec.variant is not None or len(manifests) <= 1:
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

    def installed_name(self, name: str) -> str:
        """How a model of this name is spelled here: names that differ in case alone mean the same model."""
        names = {place.name for place in model_places(self.directory)}
        same = sorted(one for one in names if folded(one) == folded(name))
        return same[0] if same and name not in same else name

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
        return _place_in(_place_in(self.directory, name), variant or NO_VARIANT)

    def partial_place(self, name: str, variant: str | None) -> Path:
        """The directory of an unfinished pull of a model of this name."""
        return self.directory / PARTIAL_DIRECTORY / short_segment(f"{name}:{variant or NO_VARIANT}")

    def path(self, manifest: Manifest) -> Path:
        """The file that an engine is pointed at."""
        return self.directory_of(manifest) / manifest.main_file.name

    def is_complete(self, manifest: Manifest) -> bool:
        """Whether every file is there with its size; contents are `verify`'s."""
        return self.damage(manifest) is None

    def hold(self, manifest: Manifest) -> Hold:
        """Marks a model as in use by this process, until the hold is closed or the process ends.

        Raises:
            ModelNotFound: it was removed in the meantime.
            ModelLoadFailed: its files are not what the manifest says.
        """
        directory = self.directory_of(manifest)
        try:
            fd = self._open_lock(manifest)
        except OSError:
            # Nothing can be written there, now or ever, so nothing is locked: on a disk that is read-only no process
            # can remove the model, and on a full one the load matters more.
            fd = self._open_manifest(manifest)
        else:
            try:
                _lock_shared(fd, manifest)
            except BaseException:
                os.close(fd)
                raise
        hold = Hold(fd)
        if (damage := damage_of(manifest, directory)) is not None:
            hold.close()
            raise damage.error()
        return hold

    def remove(self, manifest: Manifest, *, force: bool = False) -> int:
        """Deletes a model; returns the bytes freed.

        Raises:
            ModelInUse: a process has it loaded, and `force` is not given.
            ModelNotFound: it was removed in the meantime.
            ConfigError: it can't be deleted, and is as it was, unless the text says otherwise.
        """
        directory = self.directory_of(manifest)
        try:
            fd = self._open_lock(manifest)
        except OSError as error:
            raise cannot_delete(directory, error) from error
        try:
            if not _lock_at_once(fd, fcntl.LOCK_EX) and not force:
                pids = _living(os.pread(fd, 1 << 16, 0))
                raise ModelInUse(
                    f"Model '{manifest.id}' is in use by process {', '.join(map(str, pids)) or '(unknown)'}",
                    hint=f"llmspell model unload {manifest.id}, or llmspell model remove --force {manifest.id}",
                    details={"model": manifest.id, "pids": pids},
                )
            return remove_model(directory, [file.name for file in manifest.files], model_id=manifest.id)
        finally:
            os.close(fd)

    def _open_lock(self, manifest: Manifest) -> int:
        path = self.directory_of(manifest) / _LOCK_FILE
        try:
            # Neither through a link to somewhere else nor on a pipe, which would wait.
            flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            return os.open(path, flags, 0o600)
        except FileNotFoundError:
            raise ModelNotFound(f"Model '{manifest.id}' is no longer installed") from None

    def _open_manifest(self, manifest: Manifest) -> int:
        directory = self.directory_of(manifest)
        try:
            return os.open(directory / FILE_NAME, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            raise ModelNotFound(f"Model '{manifest.id}' is no longer installed") from None
        except OSError as error:
            raise manifest_damage(manifest.name, manifest.variant, directory, reason_of(error)).error() from error

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


def _read_or_refuse(directory: Path) -> Manifest | str:
    """The manifest, or why it can't be used."""
    try:
        return read_manifest(directory)
    except ManifestInvalid as error:
        return str(error)


def _place_in(directory: Path, name: str) -> Path:
    """Where a name's directory is: earlier versions wrote names with other letters than English ones differently."""
    path = directory / segment(name)
    earlier = earlier_segment(name)
    if path.name == earlier or os.path.lexists(path) or not os.path.lexists(directory / earlier):
        return path
    return directory / earlier


def _verified(directory: Path, file: ManifestFile) -> VerifiedFile:
    from llmspell_protocol.areas.model import VerifiedFile

    actual = reason = None
    try:
        regular_status(directory / file.name)
        actual = sha256_of(directory / file.name)
    except FileNotFoundError:
        reason = "is missing"
    except Unreadable as error:
        reason = str(error)
    except OSError as error:
        reason = reason_of(error)
    return VerifiedFile(name=file.name, ok=actual == file.sha256, expected=file.sha256, actual=actual, reason=reason)


def _lock_shared(fd: int, manifest: Manifest) -> None:
    if _lock_at_once(fd, fcntl.LOCK_EX):
        with contextlib.suppress(OSError):
            os.ftruncate(fd, 0)  # no other process holds it: the pids of earlier ones go
    fcntl.flock(fd, fcntl.LOCK_SH)
    if os.fstat(fd).st_nlink == 0:
        raise ModelNotFound(f"Model '{manifest.id}' is no longer installed")
    with contextlib.suppress(OSError):  # on a full disk; the lock is what counts
        os.write(fd, f"{os.getpid()}\n".encode())


def _lock_at_once(fd: int, kind: int) -> bool:
    try:
        fcntl.flock(fd, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _living(recorded: bytes) -> list[int]:
    pids = dict.fromkeys(int(line) for line in recorded.split() if line.isdigit())
    return [pid for pid in pids if is_alive(pid)]
