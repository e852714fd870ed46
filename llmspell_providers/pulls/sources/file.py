"""Models that are on this machine already: a GGUF file, or a directory of one model. Links if possible, else copies."""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from llmspell_providers.pulls.sources.choose import choose_checkpoint, choose_gguf, installed_name
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


def find(address: str, *, quantization: str | None) -> Found:
    """The files that a `file://` address means.

    Raises:
        SourceFailed: nothing is there, or nothing that is a model.
        InvalidRequest, Unsupported: the directory's files do not allow a choice.
    """
    path = Path(unquote(urlsplit(address).path))
    if path.is_dir():
        names = [entry.name for entry in path.iterdir() if entry.is_file()]
        names += [str(entry.relative_to(path)) for entry in path.glob("*/config.json")]
        chosen, found, reason = choose_gguf(str(path), names, quantization)
        chosen = chosen or choose_checkpoint(str(path), names)
        if not chosen:
            raise SourceFailed(f"{path} holds neither a GGUF file nor safetensors weights", missing=True)
        return Found([path / name for name in chosen], found, reason)
    if not path.is_file():
        raise SourceFailed(f"{path} does not exist", missing=True)
    if shard_of(path.name) is not None:
        stem = path.name[: -len("-00001-of-00001.gguf")]
        shards = choose_gguf(str(path.parent), [entry.name for entry in path.parent.glob(f"{stem}-*.gguf")], None)
        return Found([path.parent / name for name in shards.names], shards.quantization)
    return Found([path], quantization_of(path.name))


def take(path: Path, partial: PullDirectory, meter: Meter) -> LocalFile:
    """Links or copies one file into the pull's directory and computes its sum.

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
        size = real.stat().st_size
        meter.begin(name, 0, size)
        copy_fd = None if _linked(real, part) else os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            if copy_fd is not None:
                partial.require_free(size)
            with real.open("rb") as stream:
                while data := stream.read(_CHUNK_BYTES):
                    digest.update(data)
                    meter.add(name, len(data))
                    while copy_fd is not None and data:
                        data = data[os.write(copy_fd, data) :]
            if copy_fd is not None:
                os.fsync(copy_fd)
        finally:
            if copy_fd is not None:
                os.close(copy_fd)
    except (FileNotFoundError, PermissionError) as error:
        raise SourceFailed(f"{path}: {error.strerror}") from None
    return LocalFile(name=name, path=part, size_bytes=part.stat().st_size, sha256=digest.hexdigest())


def _linked(source: Path, target: Path) -> bool:
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in _CANNOT_LINK:
            raise
        return False
    return True
