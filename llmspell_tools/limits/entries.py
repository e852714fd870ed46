"""What stands in directories, and what is done to one entry by its directory's descriptor. Knows no permissions."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from typing import NamedTuple

from llmspell_protocol.beneath import open_plain
from llmspell_tools.limits.file_types import HEAD_BYTES
from llmspell_tools.outcome import ToolFailure


class Entry(NamedTuple):
    """Something in a directory; `kind` is of the entry itself, links are not followed."""

    name: str
    path: str
    kind: str
    """`file`, `directory`, `link`, `other`"""
    size: int
    modified: float
    """Seconds since 1970"""


def entries_of(descriptor: int, path: str) -> Iterator[Entry]:
    """What is in a directory, by name."""
    for name in sorted(os.listdir(descriptor)):
        try:
            found = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
        except FileNotFoundError:
            continue  # It went meanwhile.
        yield entry_of(name, os.path.join(path, name), found)


_KINDS: tuple[tuple[Callable[[int], bool], str], ...] = (
    (stat.S_ISREG, "file"),
    (stat.S_ISDIR, "directory"),
    (stat.S_ISLNK, "link"),
)


def entry_of(name: str, path: str, found: os.stat_result) -> Entry:
    """Something of this name, as the system describes it."""
    kind = next((word for test, word in _KINDS if test(found.st_mode)), "other")
    return Entry(name, path, kind, found.st_size, found.st_mtime)


def remove_entry(directory: int, name: str, path: str, *, deeper: int) -> int:
    """Removes it, with what is below it at most `deeper` directories down; returns how many entries went.

    Raises:
        ToolFailure: it is nested deeper, or another disk is below it.
    """
    found = os.stat(name, dir_fd=directory, follow_symlinks=False)
    if not stat.S_ISDIR(found.st_mode):
        os.unlink(name, dir_fd=directory)
        return 1
    count = 0
    if deeper:
        descriptor = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
        try:
            if os.fstat(descriptor).st_dev != os.fstat(directory).st_dev:
                raise ToolFailure(f"{path}: {name} is another disk")
            inner = os.listdir(descriptor)
            if deeper == 1 and inner:
                raise ToolFailure(f"{path}: the directories are nested too deep")
            for one in inner:
                count += remove_entry(descriptor, one, path, deeper=deeper - 1)
        finally:
            os.close(descriptor)
    os.rmdir(name, dir_fd=directory)
    return count + 1


def mode_of_old(directory: int, name: str, path: str) -> int | None:
    """The mode of the file whose place is taken, without what makes programs run as another user; None: there is none.

    Raises:
        ToolFailure: what is there is no file, or may not be written.
    """
    try:
        found = os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(found.st_mode):
        raise ToolFailure(f"{path} is not a plain file")
    if not os.access(name, os.W_OK, dir_fd=directory, follow_symlinks=False):
        raise ToolFailure(f"{path}: permission denied")
    return stat.S_IMODE(found.st_mode) & 0o777


def link_target(directory: int, name: str) -> str | None:
    """Where a link leads; None: it is no link."""
    try:
        return os.readlink(name, dir_fd=directory)
    except OSError:
        return None


def head_of(name: str, directory: int) -> bytes:
    """The beginning of a plain file, by which its type is known."""
    descriptor = open_plain(name, os.O_RDONLY, directory)
    try:
        return os.read(descriptor, HEAD_BYTES)
    finally:
        os.close(descriptor)
