"""Models that are on this machine already: a GGUF file, or a directory of one model. Links if possible, else copies."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import IO, NamedTuple
from urllib.parse import unquote

from llmspell_protocol.errors import InvalidRequest
from llmspell_providers.library.regular_file import Unreadable, reason_of, regular_status
from llmspell_providers.pulls.sources.choose import choose_checkpoint, choose_gguf, installed_name, require_distinct
from llmspell_providers.pulls.sources.meter import Meter
from llmspell_providers.pulls.sources.pull_directory import PullDirectory
from llmspell_providers.pulls.sources.remote import LocalFile, SourceFailed, quantization_of, shard_of

_CHUNK_BYTES = 1 << 20
_CANNOT_LINK = (errno.EXDEV, errno.EPERM, errno.EACCES, errno.EMLINK, errno.ENOTSUP, errno.ENOSYS)


class Found(NamedTuple):
    """The files of a model on this machine, the quantization by their names, and why these where there was a choice."""

    paths: list[Path]
    quantization: str | None
    reason: str | None = None


def path_of(address: str) -> Path:
    """The path in a `file://` address, percent signs undone; `#` and `?` are letters of it like any other."""
    return Path(unquote(address.removeprefix("file://").removeprefix("localhost")))


def find(address: str, *, quantization: str | None) -> Found:
    """The files that a `file://` address means.

    Raises:
        SourceFailed: nothing is there, or nothing that is a model.
        InvalidRequest, Unsupported: the directory's files do not allow a choice.
    """
    path = path_of(address)
    try:
        return _found(path, quantization)
    except OSError as error:
        raise _unreadable(path, reason_of(error)) from None
    except ValueError:
        raise _unreadable(path, "is not a path") from None


def _found(path: Path, quantization: str | None) -> Found:
    if path.is_dir():
        names = [entry.name for entry in path.iterdir() if entry.is_file()]
        names += [str(entry.relative_to(path)) for entry in path.glob("*/config.json") if entry.is_file()]
        names = [name for name in names if name.isprintable() and not name.startswith(".")]
        chosen, found, reason = choose_gguf(str(path), names, quantization)
        chosen = chosen or choose_checkpoint(str(path), names)
        if not chosen:
            raise SourceFailed(f"{path} holds neither a GGUF file nor safetensors weights", missing=True)
        require_distinct(str(path), [installed_name(f"{path.name}/{name}") for name in chosen])
        return Found([path / name for name in chosen], found, reason)
    try:
        regular_status(path)
    except FileNotFoundError:
        raise SourceFailed(f"{path} does not exist", missing=True) from None
    except Unreadable as error:
        raise _unreadable(path, str(error)) from None
    if shard_of(path.name) is not None:
        stem = path.name[: -len("-00001-of-00001.gguf")]
        names = [entry.name for entry in path.parent.iterdir() if entry.name.startswith(f"{stem}-")]
        shards = choose_gguf(str(path.parent), [name for name in names if shard_of(name) is not None], None)
        return Found([path.parent / name for name in shards.names], shards.quantization)
    return Found([path], quantization_of(path.name))


def require_room(paths: Sequence[Path], partial: PullDirectory) -> None:
    """Checks before the first byte that the disk has room for the files that can't be links, those of other disks.

    Raises:
        DiskFull: it has not.
        SourceFailed: a file can't be looked at.
    """
    own = partial.directory.stat().st_dev
    statuses = []
    for path in paths:
        try:
            statuses.append(regular_status(path))
        except (FileNotFoundError, Unreadable) as error:
            why = str(error) if isinstance(error, Unreadable) else "does not exist"
            raise _unreadable(path, why) from None
    partial.require_free(sum(status.st_size for status in statuses if status.st_dev != own))


def take(path: Path, partial: PullDirectory, meter: Meter, *, links: bool = False) -> LocalFile:
    """Links or copies one file into the pull's directory and computes its sum; no more of it than its size says.

    `links`: where the disk can't give it another name, a symbolic link leads to it in place of a copy.

    Raises:
        SourceFailed: it cannot be read.
        DiskFull: a copy does not fit.
    """
    name = installed_name(f"{path.parent.name}/{path.name}")
    part = partial.part(name)
    partial.discard(name)
    digest = hashlib.sha256()
    try:
        real = path.resolve(strict=True)
        size = regular_status(real).st_size
        stream_fd = os.open(real, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, RuntimeError, Unreadable) as error:
        raise _unreadable(path, _reason(error)) from None
    with open(stream_fd, "rb", buffering=0) as stream:
        meter.begin(name, 0, size)
        copy_fd = (
            None
            if _linked(real, part, or_symbolic=links)
            else os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        )
        try:
            if copy_fd is not None:
                partial.require_free(size)
            come = 0
            while data := _read(stream, path):
                come += len(data)
                if come > size:
                    raise _unreadable(path, "grows while it is read, or is not a file on a disk")
                digest.update(data)
                meter.add(name, len(data))
                while copy_fd is not None and data:
                    data = data[os.write(copy_fd, data) :]
            if come < size:
                raise _unreadable(path, "becomes shorter while it is read")
            if copy_fd is not None:
                os.fsync(copy_fd)
        finally:
            if copy_fd is not None:
                os.close(copy_fd)
    return LocalFile(name=name, path=part, size_bytes=part.stat().st_size, sha256=digest.hexdigest())


def _read(stream: IO[bytes], path: Path) -> bytes:
    try:
        return stream.read(_CHUNK_BYTES)
    except OSError as error:
        raise _unreadable(path, reason_of(error)) from None


def _unreadable(path: Path, why: str) -> SourceFailed:
    return SourceFailed(f"{path} {why}", kind=InvalidRequest, hint="check the path, and who may read it")


def _reason(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "does not exist"
    if isinstance(error, OSError):
        return reason_of(error)
    return str(error) if isinstance(error, Unreadable) else "is a link that leads to itself"


def _linked(source: Path, target: Path, *, or_symbolic: bool) -> bool:
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in _CANNOT_LINK:
            raise
        if or_symbolic:
            os.symlink(source, target)
        return or_symbolic
    return True
