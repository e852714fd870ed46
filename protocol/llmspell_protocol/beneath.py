"""Opens what lies below certain directories, by descriptors: each step of a path is taken where the last one led.

A path that is resolved to a text first and opened by that text later may lead elsewhere by then. Here every directory
on the way is opened, a link is read and followed a step at a time, and what is asked for is reached from the last
directory's descriptor, so that what was looked at is what is used (as Go's `os.Root` does it).
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

MAX_LINKS = 40
"""As many as Linux follows."""
_PATH = getattr(os, "O_PATH", os.O_RDONLY)
_DIRECTORY = _PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_IS_LINK = (errno.ELOOP, errno.EMLINK, errno.ENOTDIR)
"""What opening a link without following it gives, on Linux, FreeBSD, and where a directory is asked for."""


class NotBeneath(Exception):
    """The path leads out of the directories."""


class NotPlain(Exception):
    """The path leads to something else than a plain file."""


class HeldDirectory:
    """A directory that is held open for as long as this exists: what gets its name later is another one.

    Raises:
        OSError: it cannot be opened.
    """

    def __init__(self, path: str) -> None:
        self.descriptor = os.open(path, _PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        self.identity = _identity(os.fstat(self.descriptor))

    def __del__(self) -> None:
        if hasattr(self, "descriptor"):
            os.close(self.descriptor)


class Places:
    """Directories with all that is below, and single files, held open: what a script or a tool may reach.

    `/` with all below it is everything. A path that isn't there yet is a file or a directory, which may be made: it is
    held by the nearest directory that is there and the names from that one on, so that only a real directory of that
    name is what was meant, and no link that gets the name later.
    """

    def __init__(self, paths: Iterable[str]) -> None:
        self.roots: list[HeldDirectory] = []
        self.entries: set[tuple[tuple[int, int], str]] = set()
        self.unmade: list[tuple[tuple[int, int], tuple[str, ...]]] = []
        """What isn't there yet: the directory that it is to be below, and the names that lead to it from there."""
        self._parents: list[HeldDirectory] = []
        for path in paths:
            self.add(path)

    def __bool__(self) -> bool:
        return bool(self.roots or self.entries or self.unmade)

    def add(self, path: str) -> None:
        """One more path, as those of the beginning; nothing where it can't be looked at."""
        try:
            if os.path.isdir(path):
                self.roots.append(HeldDirectory(path))
                return
            if not os.path.lexists(path):
                self._add_unmade(os.path.normpath(path))
            # A file that is a link is allowed under both of its names.
            for one in {os.path.normpath(path), os.path.realpath(path)}:
                parent = HeldDirectory(os.path.dirname(one))
                self._parents.append(parent)
                self.entries.add((parent.identity, os.path.basename(one)))
        except OSError:
            return  # What isn't there has nothing below it.

    def _add_unmade(self, path: str) -> None:
        above, names = path, list[str]()
        while not os.path.isdir(above):
            if os.path.lexists(above):
                return  # A file, or a link that leads nowhere: nothing can be below it.
            above, name = os.path.split(above)
            names.insert(0, name)
        held = HeldDirectory(above)
        self._parents.append(held)
        self.unmade.append((held.identity, tuple(names)))


def open_beneath(places: Places, path: str, flags: int, admit: Callable[[str], None] | None = None) -> int:
    """A descriptor of the plain file at an absolute path, opened with `flags` (`os.O_…`); links are followed.

    `admit` gets each name on the way that may be the file's own, before it is opened, and raises to refuse it.

    Raises:
        NotBeneath: it is not one of the places nor below one, or a link leads out of them.
        NotPlain: it is a directory, a pipe, a device.
        OSError: it cannot be opened.
    """
    with _Walk(places, path) as walk:
        while True:
            name = walk.parent()
            if admit is not None:
                admit(name)
            try:
                return open_plain(name, flags, walk.directory)
            except OSError as problem:
                if problem.errno not in _IS_LINK or not walk.follow(name):
                    raise


def open_plain(name: str, flags: int, directory: int | None = None) -> int:
    """A descriptor of a plain file, which is no link, in the directory of a descriptor.

    Raises:
        NotPlain: it is something else.
        OSError: it cannot be opened; a link gives ELOOP.
    """
    try:
        # Already opening a pipe or a device can be felt at its other end.
        if not stat.S_ISREG(found := os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode):
            if stat.S_ISLNK(found):
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), name)
            raise NotPlain(name)
    except FileNotFoundError:
        if not flags & os.O_CREAT:
            raise
    try:
        descriptor = os.open(name, flags | _FILE, 0o666, dir_fd=directory)
    except OSError as problem:
        if problem.errno in (errno.EISDIR, errno.ENXIO):  # A directory to write, a pipe without a reader.
            raise NotPlain(name) from None
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise NotPlain(name)
    return descriptor


@contextmanager
def entry_beneath(places: Places, path: str, *, leads: bool = False) -> Iterator[tuple[int, str]]:
    """The descriptor of a directory and a name in it, which is what the absolute path names: a link stays a link.

    With `leads` it may also be a directory that is still to be made on the way to a place that isn't there yet.

    Raises:
        NotBeneath: the directory is neither a place nor below one, nor is the entry one.
        OSError: there is no such directory.
    """
    with _Walk(places, path, leads=leads) as walk:
        name = walk.parent()
        yield walk.directory, name


@contextmanager
def directory_beneath(places: Places, path: str) -> Iterator[int]:
    """The descriptor of the directory at an absolute path, links followed; it can be listed.

    Raises:
        NotBeneath: it is neither a place nor below one, or a link leads out of them.
        OSError: it cannot be opened, or is no directory.
    """
    with _Walk(places, path) as walk:
        walk.whole()
        # What led here may be a descriptor for paths alone, which lists nothing.
        descriptor = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=walk.directory)
        try:
            yield descriptor
        finally:
            os.close(descriptor)


class _Walk:
    """From `/` to a path's last directory. The caller learns nothing about what lies outside of the places."""

    def __init__(self, places: Places, path: str, *, leads: bool = False) -> None:
        self._leads = leads
        self._unmade = places.unmade
        self._roots = {root.identity for root in places.roots}
        self._entries = places.entries
        self._pending = _parts(path)
        self._links = 0
        self._way: list[tuple[int, tuple[int, int]]] = []
        self._names: list[str] = []
        """The names of the directories on the way: of real ones, since links are followed a step at a time."""

    def __enter__(self) -> _Walk:
        self._enter(os.open("/", _DIRECTORY), "")
        return self

    def __exit__(self, *_: object) -> None:
        while self._way:
            self._leave()

    @property
    def directory(self) -> int:
        """The descriptor of the directory that was reached."""
        return self._way[-1][0]

    def parent(self) -> str:
        """Goes on to the directory of the path's last part, and gives that part."""
        self._go(1)
        self._demand_inside(self._pending[0] if self._pending else None)
        if not self._pending or self._pending[0] == "..":
            raise NotPlain("a directory")
        return self._pending.pop()

    def whole(self) -> None:
        """Goes on to what the path names, a directory."""
        self._go(0)
        self._demand_inside(None)

    def _go(self, left: int) -> None:
        """Goes on until so many parts are left. What is in the way is told where it is inside."""
        while len(self._pending) > left:
            name = self._pending.pop(0)
            try:
                self._step(name)
            except OSError:
                if not self._is_made((name, *self._pending)):
                    self._demand_inside(None)
                raise

    def follow(self, name: str) -> bool:
        """Puts what a link leads to before the rest of the path; False where it is no link."""
        try:
            target = os.readlink(name, dir_fd=self.directory)
        except OSError:
            return False
        self._links += 1
        if self._links > MAX_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        if target.startswith("/"):
            while len(self._way) > 1:
                self._leave()
        self._pending = _parts(target) + self._pending
        return True

    def _step(self, name: str) -> None:
        if name == "..":
            if len(self._way) > 1:
                self._leave()
            return
        try:
            self._enter(os.open(name, _DIRECTORY, dir_fd=self.directory), name)
        except OSError as problem:
            if problem.errno not in _IS_LINK or not self.follow(name):
                raise

    def _enter(self, descriptor: int, name: str) -> None:
        self._way.append((descriptor, _identity(os.fstat(descriptor))))
        self._names.append(name)

    def _leave(self) -> None:
        os.close(self._way.pop()[0])
        self._names.pop()

    def _demand_inside(self, name: str | None) -> None:
        is_below = not self._roots.isdisjoint(identity for _, identity in self._way)
        if (
            not is_below
            and (self._way[-1][1], name) not in self._entries
            and not self._is_made(() if name is None else (name,))
        ):
            raise NotBeneath

    def _is_made(self, ahead: tuple[str, ...]) -> bool:
        """Whether the way, and the names `ahead`, go through one of the places that were still to be made."""
        if not self._unmade or ".." in ahead:
            return False
        names = (*self._names[1:], *ahead)
        for at, (_, identity) in enumerate(self._way):
            for above, tail in self._unmade:
                if identity != above:
                    continue
                behind = names[at:]
                if behind[: len(tail)] == tail or (self._leads and behind and tail[: len(behind)] == behind):
                    return True
        return False


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in ("", ".")]
