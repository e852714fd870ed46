"""What can stand where a file is expected, put there for tests."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

NOBODY = 65534


def _socket(path: Path) -> None:
    # A socket's whole path is short, and a test's directory is not.
    here = os.open(path.parent, os.O_RDONLY)
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(f"/proc/self/fd/{here}/{path.name}")
    finally:
        os.close(here)


IN_PLACE_OF_A_FILE: Mapping[str, Callable[[Path], object]] = MappingProxyType(
    {
        "a directory": Path.mkdir,
        "a pipe": os.mkfifo,
        "a socket": _socket,
        "a device": lambda path: path.symlink_to("/dev/zero"),
        "a link to itself": lambda path: path.symlink_to(path.name),
        "a link to nothing": lambda path: path.symlink_to("/nowhere/at/all"),
    }
)
"""By what it is; each makes it at a path where nothing is."""

BAD_JSON: Mapping[str, bytes] = MappingProxyType(
    {
        "empty": b"",
        "cut": b'{"manifest_version": 1, "na',
        "a list": b"[]",
        "a number": b"7",
        "a deep list": b"[" * 100_000,
        "a deep map": b'{"a":' * 100_000,
        "no UTF-8": b'{"name": "\xff\xfe"}',
        "NUL": b"\0" * 100,
        "half a pair": b'{"manifest_version": 1, "name": "\\ud800"}',
        "a long number": b'{"manifest_version": ' + b"9" * 5000 + b"}",
        "another version": b'{"manifest_version": 99}',
        "nothing in it": b'{"manifest_version": 1}',
        "very long": b'{"manifest_version": 1, "name": "' + b"x" * (5 << 20) + b'"}',
    }
)
"""Files that are no manifest, by what they are."""


def replaced(path: Path, kind: str) -> None:
    """Puts something of `IN_PLACE_OF_A_FILE` where a file is."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    IN_PLACE_OF_A_FILE[kind](path)


@contextmanager
def as_nobody() -> Iterator[None]:
    """While it lasts, files are opened and deleted with the rights of a user who owns nothing, where root tests."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@contextmanager
def read_only(*directories: Path) -> Iterator[None]:
    """While it lasts, nothing can be made or deleted in these directories, or below them in what is made now."""
    modes = [directory.stat().st_mode for directory in directories]
    for directory in directories:
        directory.chmod(0o555)
    try:
        with as_nobody():
            yield
    finally:
        for directory, mode in zip(directories, modes, strict=True):
            directory.chmod(mode)


@contextmanager
def everybodys_directory() -> Iterator[Path]:
    """A directory that every user can look into, unlike those of tests."""
    with tempfile.TemporaryDirectory(prefix="llmspell-open-", dir="/tmp") as name:
        directory = Path(name)
        directory.chmod(0o755)
        yield directory
