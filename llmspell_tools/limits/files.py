"""The files of one call: every path is opened by descriptors, below what the call may read or write and nowhere else.

What is looked at is what is used: no path is checked as a text and opened by it later (`llmspell_protocol.beneath`).
Extensions, sizes, depths and the kinds of content are held to `[tools.file_operations]`. Two names of one file (hard
links) can't be told apart: a file that is written anew leaves its other name the old content, one that is added to
does not.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, BinaryIO

from llmspell_protocol.beneath import (
    MAX_LINKS,
    NotBeneath,
    NotPlain,
    Places,
    directory_beneath,
    entry_beneath,
    open_beneath,
)
from llmspell_protocol.errors import Forbidden
from llmspell_protocol.request_options import EVERYTHING
from llmspell_protocol.tools.description import Need
from llmspell_protocol.tools.permissions import Permissions, denied
from llmspell_tools.limits.entries import Entry, entries_of, entry_of, head_of, link_target, mode_of_old, remove_entry
from llmspell_tools.limits.file_rules import FileRules, too_large
from llmspell_tools.limits.file_types import HEAD_BYTES, extension_of
from llmspell_tools.limits.whole_paths import whole_path
from llmspell_tools.outcome import ToolFailure

_READ_PIECE = 1 << 20
_DEEPEST_REMOVED = 200
"""Directories in each other that are removed together: each is held open."""


class Files:
    """What one call may touch of the file system.

    Every path may be relative to the call's working directory. All methods raise `Forbidden` for what the call may not
    touch (`details.permission` is `read` or `write`), and `ToolFailure` for what the file system refuses.
    """

    def __init__(self, permissions: Permissions, settings: Mapping[str, Any]) -> None:
        self._directory = permissions.working_directory
        self._readable = Places(_place(path) for path in permissions.read)
        self._writable = Places(_place(path) for path in permissions.write)
        self._rules = FileRules(settings)

    @property
    def largest_bytes(self) -> int:
        """The largest file that may be read or written."""
        return self._rules.largest_bytes

    @property
    def deepest(self) -> int:
        """How many directories deep a walk goes."""
        return self._rules.deepest

    def absolute(self, path: str) -> str:
        """The path as a whole one, without `.` and doubled slashes; nothing is looked up.

        Raises:
            InvalidRequest: it is empty, too long, no path at all, or relative to nothing.
        """
        return whole_path(path, self._directory)

    # Reading

    def open(self, path: str, *, largest_bytes: int | None = None) -> BinaryIO:
        """A plain file to read from, not larger than the limit."""
        descriptor = self._opened(path, os.O_RDONLY, "read")
        file = os.fdopen(descriptor, "rb")
        size = os.fstat(descriptor).st_size
        limit = self.largest_bytes if largest_bytes is None else largest_bytes
        if size > limit:
            file.close()
            raise too_large(path, size, limit)
        return file

    def read_bytes(self, path: str, *, largest_bytes: int | None = None) -> bytes:
        """The whole content."""
        limit = self.largest_bytes if largest_bytes is None else largest_bytes
        with self.open(path, largest_bytes=limit) as file:
            data = file.read(limit + 1) or b""  # None: one of the kernel's files that has nothing now.
        if len(data) > limit:
            # What grows while it is read, and files whose size is not told.
            raise too_large(path, len(data), limit)
        return data

    def read_text(self, path: str, *, encoding: str = "utf-8", largest_bytes: int | None = None) -> str:
        """The whole content as text."""
        data = self.read_bytes(path, largest_bytes=largest_bytes)
        try:
            return data.decode(encoding)
        except (UnicodeDecodeError, LookupError) as error:
            raise ToolFailure(f"{path} is not text in {encoding}: {error}") from None

    def exists(self, path: str) -> bool:
        """Whether there is something of this name, a link that leads nowhere included."""
        return self.entry(path) is not None

    def entry(self, path: str) -> Entry | None:
        """What is there, not following a link at the end of the path; None where nothing is."""
        whole = self.absolute(path)
        with self._allowed(path, "read"):
            try:
                name, found = self._found(self._readable, whole)
            except (FileNotFoundError, NotADirectoryError):
                return None
            return entry_of(name, whole, found)

    def status(self, path: str) -> os.stat_result:
        """What the system says about a file or directory, a link followed."""
        whole = self.absolute(path)
        with self._allowed(path, "read"):
            _, found = self._found(self._readable, whole)
            if not stat.S_ISLNK(found.st_mode):
                return found
            try:
                descriptor = open_beneath(self._readable, whole, os.O_RDONLY)
            except NotPlain:
                with directory_beneath(self._readable, whole) as descriptor:
                    return os.fstat(descriptor)
            try:
                return os.fstat(descriptor)
            finally:
                os.close(descriptor)

    def status_to_write(self, path: str) -> os.stat_result:
        """What the system says about what is to be written, a link followed: nothing that writing would not tell."""
        whole = self._followed(path)
        with self._allowed(path, "write"):
            return self._found(self._writable, whole)[1]

    @contextmanager
    def directory(self, path: str) -> Iterator[int]:
        """The descriptor of a directory that may be read, for what needs one; a link is followed."""
        with self._allowed(path, "read"), directory_beneath(self._readable, self.absolute(path)) as descriptor:
            yield descriptor

    def list(self, path: str) -> list[Entry]:
        """The entries of a directory, by name."""
        whole = self.absolute(path)
        with self._allowed(path, "read"), directory_beneath(self._readable, whole) as descriptor:
            return list(entries_of(descriptor, whole))

    def walk(
        self,
        path: str,
        *,
        recursive: bool = True,
        deepest: int | None = None,
        enters: Callable[[Entry], bool] | None = None,
    ) -> Iterator[Entry]:
        """Everything below a directory, directories before what is in them; links are told and not followed.

        What is in a directory is left out where `enters` says so. What goes meanwhile is left out as well.
        """
        limit = min(self.deepest, deepest) if deepest is not None else self.deepest
        yield from self._walk(self.list(path), limit if recursive else 0, enters)

    def _walk(self, entries: Sequence[Entry], deeper: int, enters: Callable[[Entry], bool] | None) -> Iterator[Entry]:
        for entry in entries:
            yield entry
            if entry.kind == "directory" and deeper > 0 and (enters is None or enters(entry)):
                try:
                    below = self.list(entry.path)
                except (ToolFailure, Forbidden):
                    continue  # It went, became a link, or may not be read.
                yield from self._walk(below, deeper - 1, enters)

    # Writing

    def write(self, path: str, data: bytes, *, append: bool = False) -> int:
        """Writes a whole file, or adds to its end; returns how many bytes it wrote.

        A new content takes the old one's place at once (write, sync, rename) where `atomic_writes` is set; a link at
        the end of the path is followed.
        """
        self._rules.demand_size(path, len(data))
        if not append and self._rules.writes_at_once:
            with self.replacing(path) as file:
                file.write(data)
            return len(data)
        # Not with O_TRUNC: what must not be written leaves the old content as it is.
        flags = os.O_WRONLY | os.O_CREAT | (os.O_APPEND if append else 0)
        with os.fdopen(
            self._opened(path, flags, "write", head=None if append else data), "ab" if append else "wb"
        ) as file:
            before = os.fstat(file.fileno()).st_size if append else 0
            self._rules.demand_size(path, before + len(data))
            if not append:
                os.ftruncate(file.fileno(), 0)
            elif before == 0:
                self._rules.demand_type(path, data)
            file.write(data)
        return len(data)

    @contextmanager
    def replacing(self, path: str) -> Iterator[BinaryIO]:
        """A file to write to whose content takes the place of `path` when the block ends without an exception.

        A link at the end of the path is followed; a file that is there keeps its mode, and one that may not be written
        stays as it is.
        """
        whole = self._followed(path)
        with self._allowed(path, "write"), entry_beneath(self._writable, whole) as (directory, name):
            self._rules.demand_extension(name, path, "write")
            mode = mode_of_old(directory, name, path)
            temporary = f".{name[:50]}.{os.urandom(8).hex()}.new"
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            descriptor = os.open(temporary, flags, 0o666, dir_fd=directory)
            try:
                with os.fdopen(descriptor, "w+b") as file:
                    yield file
                    file.flush()
                    self._rules.demand_size(path, os.fstat(descriptor).st_size)
                    self._rules.demand_type(name, os.pread(descriptor, HEAD_BYTES, 0), path)
                    if mode is not None:
                        os.fchmod(descriptor, mode)
                    os.fsync(descriptor)
                os.rename(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)
            except BaseException:
                with suppress(FileNotFoundError):
                    os.unlink(temporary, dir_fd=directory)
                raise

    def make_directory(self, path: str, *, parents: bool = False) -> None:
        """Makes a directory, with those on the way if `parents`; one that is there already is fine."""
        whole = self.absolute(path)
        missing, made = [whole], set[str]()
        with self._allowed(path, "write"):
            while missing:
                try:
                    self._make_one(missing[-1])
                except FileNotFoundError:
                    above = os.path.dirname(missing[-1])
                    if not parents or above in (*made, missing[-1]):
                        raise  # A link that leads nowhere, or what is above went again.
                    missing.append(above)
                    continue
                made.add(missing.pop())

    def _make_one(self, whole: str) -> None:
        try:
            with entry_beneath(self._writable, whole, leads=True) as (directory, name):
                os.mkdir(name, dir_fd=directory)
        except (FileExistsError, NotBeneath, NotPlain):
            # It is there, or is one of the places themselves, or ends with `..`.
            with directory_beneath(self._writable, whole):
                return

    def change_mode(self, path: str, mode: int) -> None:
        """Who may read, write and run a file or directory: nine bits."""
        whole = self._followed(path)
        with self._allowed(path, "write"):
            try:
                descriptor = open_beneath(self._writable, whole, os.O_RDONLY)
            except NotPlain:
                with directory_beneath(self._writable, whole) as descriptor:
                    os.fchmod(descriptor, mode & 0o777)
                return
            try:
                os.fchmod(descriptor, mode & 0o777)
            finally:
                os.close(descriptor)

    def remove(self, path: str, *, recursive: bool = False) -> int:
        """Removes a file, a link, or a directory (with all below if `recursive`); returns how many entries went.

        Links are removed and not followed; what another disk has below a directory stays.
        """
        whole = self.absolute(path)
        with self._allowed(path, "write"), entry_beneath(self._writable, whole) as (directory, name):
            return remove_entry(directory, name, path, deeper=_DEEPEST_REMOVED if recursive else 0)

    def move(self, source: str, target: str) -> None:
        """Renames what may be read and written; a file at the target's place is replaced. Links are moved themselves.

        From one disk to another files alone are moved, by a copy.
        """
        old, new = self.absolute(source), self.absolute(target)
        with (
            self._allowed(source, "write"),
            entry_beneath(self._writable, old) as (old_directory, old_name),
        ):
            with self._allowed(source, "read"):
                self._demand_readable(old, old_directory)
            status = os.stat(old_name, dir_fd=old_directory, follow_symlinks=False)
            with self._allowed(target, "write"), entry_beneath(self._writable, new) as (directory, name):
                self._rules.demand_extension(name, target, "write")
                is_file = stat.S_ISREG(status.st_mode)
                if is_file and extension_of(name) != extension_of(old_name):
                    self._rules.demand_type(name, head_of(old_name, old_directory), target)
                try:
                    os.rename(old_name, name, src_dir_fd=old_directory, dst_dir_fd=directory)
                    return
                except OSError as error:
                    if error.errno != errno.EXDEV or not is_file:
                        raise
        self.copy(source, target)
        self.remove(source)

    def copy(self, source: str, target: str) -> int:
        """Copies one file's content; returns its size."""
        with self.open(source) as given, self.replacing(target) as file:
            while piece := given.read(_READ_PIECE):
                file.write(piece)
            return file.tell()

    # Within

    def _opened(self, path: str, flags: int, kind: Need, *, head: bytes | None = None) -> int:
        """A descriptor of a file; `head` is the beginning of what will be in it."""

        def admit(name: str) -> None:
            self._rules.demand_extension(name, path, kind)
            if head is not None:
                self._rules.demand_type(name, head, path)

        places = self._readable if kind == "read" else self._writable
        whole = self.absolute(path)
        with self._allowed(path, kind):
            try:
                return open_beneath(places, whole, flags, admit)
            except NotBeneath:
                with directory_beneath(places, whole):
                    raise NotPlain(path) from None  # One of the places themselves.

    def _found(self, places: Places, whole: str) -> tuple[str, os.stat_result]:
        """The name of what a path leads to, and what the system says about it: a link stays a link."""
        try:
            with entry_beneath(places, whole) as (directory, name):
                return name, os.stat(name, dir_fd=directory, follow_symlinks=False)
        except (NotBeneath, NotPlain):
            # One of the places themselves, or a path that ends with `..`.
            with directory_beneath(places, whole) as descriptor:
                return os.path.basename(whole), os.fstat(descriptor)

    def _followed(self, path: str) -> str:
        """The path, or what a link in its place leads to: a new content goes where the old one is."""
        whole = self.absolute(path)
        for _ in range(MAX_LINKS):
            with self._allowed(path, "write"):
                try:
                    with entry_beneath(self._writable, whole) as (directory, name):
                        target = link_target(directory, name)
                except (NotBeneath, NotPlain):
                    with directory_beneath(self._writable, whole):
                        return whole  # One of the places themselves, or a path that ends with `..`.
            if target is None:
                return whole
            whole = os.path.join(os.path.dirname(whole), target)
        raise ToolFailure(f"{path}: too many links")

    def _demand_readable(self, whole: str, directory: int) -> None:
        """Raises `NotBeneath` where what was found to be changed may not be read: moved, it could be."""
        with entry_beneath(self._readable, whole) as (same, _):
            if not os.path.samestat(os.fstat(same), os.fstat(directory)):
                raise NotBeneath

    @contextmanager
    def _allowed(self, path: str, kind: Need) -> Iterator[None]:
        """What the system and the walk say in the block, in the words of a tool."""
        try:
            yield
        except NotBeneath:
            raise denied(kind, self.absolute(path)) from None
        except NotPlain:
            raise ToolFailure(f"{path} is not a plain file") from None
        except OSError as error:
            raise ToolFailure(f"{path}: {(error.strerror or str(error)).lower()}", code=_code(error)) from None


def _place(path: str) -> str:
    return "/" if path == EVERYTHING else path


def _code(error: OSError) -> str:
    return "not_found" if isinstance(error, FileNotFoundError) else "tool_error"
