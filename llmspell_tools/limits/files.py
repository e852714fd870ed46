"""The files of one call: every path is opened by descriptors, below what the call may read or write and nowhere else.

What is looked at is what is used: no path is checked as a text and opened by it later (`llmspell_protocol.beneath`).
Extensions, sizes and depths are held to `[tools.file_operations]`.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, BinaryIO, NamedTuple

from llmspell_protocol.beneath import (
    NotBeneath,
    NotPlain,
    Places,
    directory_beneath,
    entry_beneath,
    open_beneath,
)
from llmspell_protocol.errors import Forbidden, InvalidRequest
from llmspell_protocol.request_options import EVERYTHING
from llmspell_protocol.tools.description import Need
from llmspell_protocol.tools.permissions import Permissions, denied
from llmspell_protocol.user_home import expanded_user
from llmspell_tools.outcome import ToolFailure

_FILE_SETTINGS = "tools.file_operations"
_READ_PIECE = 1 << 20


class Entry(NamedTuple):
    """Something in a directory; `kind` is of the entry itself, links are not followed."""

    name: str
    path: str
    kind: str
    """`file`, `directory`, `link`, `other`"""
    size: int
    modified: float
    """Seconds since 1970"""


class Files:
    """What one call may touch of the file system.

    Every path may be relative to the call's working directory. All methods raise `Forbidden` for what the call may not
    touch (`details.permission` is `read` or `write`), and `ToolFailure` for what the file system refuses.
    """

    def __init__(self, permissions: Permissions, settings: Mapping[str, Any]) -> None:
        self._directory = permissions.working_directory
        self._readable = Places(_place(path) for path in permissions.read)
        self._writable = Places(_place(path) for path in permissions.write)
        self._settings = settings

    @property
    def largest_bytes(self) -> int:
        """The largest file that may be read or written."""
        return int(self._settings.get("max_file_size", 50_000_000))

    @property
    def deepest(self) -> int:
        """How many directories deep a walk goes."""
        return int(self._settings.get("max_depth", 10))

    def absolute(self, path: str) -> str:
        """The path as a whole one; nothing is looked up.

        Raises:
            InvalidRequest: it is empty, has a zero byte in it, or is relative to nothing.
        """
        if not path or "\0" in path:
            raise InvalidRequest("the path is empty" if not path else "the path has a zero byte in it")
        path = expanded_user(path, os.environ)
        if os.path.isabs(path):
            return path
        if self._directory is None:
            raise InvalidRequest(f"'{path}' is not a whole path", hint="begin it with /")
        return os.path.join(self._directory, path)

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
            data = file.read(limit + 1)
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
                with self._parent(self._readable, whole) as (directory, name):
                    return _entry(name, whole, os.stat(name, dir_fd=directory, follow_symlinks=False))
            except FileNotFoundError:
                return None
            except NotADirectoryError:
                return None

    def status(self, path: str) -> os.stat_result:
        """What the system says about a file or directory, a link followed."""
        whole = self.absolute(path)
        with self._allowed(path, "read"):
            try:
                with directory_beneath(self._readable, whole) as descriptor:
                    return os.fstat(descriptor)
            except (NotADirectoryError, FileNotFoundError):
                pass
            with self._parent(self._readable, whole) as (directory, name):
                found = os.stat(name, dir_fd=directory, follow_symlinks=False)
                if not stat.S_ISLNK(found.st_mode):
                    return found
            descriptor = open_beneath(self._readable, whole, os.O_RDONLY)
            try:
                return os.fstat(descriptor)
            finally:
                os.close(descriptor)

    def list(self, path: str) -> list[Entry]:
        """The entries of a directory, by name."""
        whole = self.absolute(path)
        with self._allowed(path, "read"), directory_beneath(self._readable, whole) as descriptor:
            return list(_entries(descriptor, whole))

    def walk(self, path: str, *, recursive: bool = True, deepest: int | None = None) -> Iterator[Entry]:
        """Everything below a directory, directories before what is in them; links are told and not followed."""
        limit = min(self.deepest, deepest) if deepest is not None else self.deepest
        yield from self._walk(self.absolute(path), limit if recursive else 0)

    def _walk(self, path: str, deeper: int) -> Iterator[Entry]:
        for entry in self.list(path):
            yield entry
            if entry.kind == "directory" and deeper > 0:
                yield from self._walk(entry.path, deeper - 1)

    # Writing

    def write(self, path: str, data: bytes, *, append: bool = False) -> int:
        """Writes a whole file, or adds to its end; returns how many bytes it wrote.

        A new content takes the old one's place at once (write, sync, rename) where `atomic_writes` is set; a link at
        the end of the path is followed.
        """
        self._demand_size(path, len(data))
        if not append and self._settings.get("atomic_writes", True):
            with self.replacing(path) as file:
                file.write(data)
            return len(data)
        how = os.O_APPEND if append else os.O_TRUNC
        with os.fdopen(self._opened(path, os.O_WRONLY | os.O_CREAT | how, "write"), "ab" if append else "wb") as file:
            self._demand_size(path, os.fstat(file.fileno()).st_size + len(data))
            file.write(data)
        return len(data)

    @contextmanager
    def replacing(self, path: str) -> Iterator[BinaryIO]:
        """A file to write to whose content takes the place of `path` when the block ends without an exception."""
        whole = self._followed(path)
        self._demand_extension(whole, "write")
        with self._allowed(path, "write"), self._parent(self._writable, whole) as (directory, name):
            mode = 0o666
            try:
                found = os.stat(name, dir_fd=directory, follow_symlinks=False)
            except FileNotFoundError:
                pass
            else:
                if not stat.S_ISREG(found.st_mode):
                    raise ToolFailure(f"{path} is not a file that can be written")
                mode = stat.S_IMODE(found.st_mode)
            temporary = f".{name[:200]}.{os.urandom(6).hex()}.new"
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            descriptor = os.open(temporary, flags, mode, dir_fd=directory)
            try:
                with os.fdopen(descriptor, "wb") as file:
                    yield file
                    file.flush()
                    self._demand_size(path, os.fstat(descriptor).st_size)
                    os.fsync(descriptor)
                os.rename(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)
            except BaseException:
                os.unlink(temporary, dir_fd=directory)
                raise

    def make_directory(self, path: str, *, parents: bool = False) -> None:
        """Makes a directory; one that is there already is fine."""
        whole = os.path.normpath(self.absolute(path))
        with self._allowed(path, "write"):
            try:
                with self._parent(self._writable, whole) as (directory, name):
                    os.mkdir(name, dir_fd=directory)
            except FileExistsError:
                with directory_beneath(self._writable, whole):
                    return
            except FileNotFoundError:
                if not parents or whole == "/":
                    raise
                self.make_directory(os.path.dirname(whole), parents=True)
                self.make_directory(whole)

    def remove(self, path: str, *, recursive: bool = False) -> int:
        """Removes a file, a link, or a directory (with all below if `recursive`); returns how many entries went."""
        whole = self.absolute(path)
        with self._allowed(path, "write"), self._parent(self._writable, whole) as (directory, name):
            return _remove(directory, name, recursive=recursive)

    def move(self, source: str, target: str) -> None:
        """Renames; a file at the target's place is replaced."""
        old, new = self.absolute(source), self.absolute(target)
        self._demand_extension(new, "write")
        with (
            self._allowed(source, "write"),
            self._parent(self._writable, old) as (old_directory, old_name),
        ):
            os.stat(old_name, dir_fd=old_directory, follow_symlinks=False)
            with self._allowed(target, "write"), self._parent(self._writable, new) as (directory, name):
                os.rename(old_name, name, src_dir_fd=old_directory, dst_dir_fd=directory)

    def copy(self, source: str, target: str) -> int:
        """Copies one file's content; returns its size."""
        with self.open(source) as given, self.replacing(target) as file:
            while piece := given.read(_READ_PIECE):
                file.write(piece)
            return file.tell()

    # Within

    def _opened(self, path: str, flags: int, kind: Need) -> int:
        whole = self.absolute(path)
        self._demand_extension(whole, kind)
        places = self._readable if kind == "read" else self._writable
        with self._allowed(path, kind):
            return open_beneath(places, whole, flags)

    def _followed(self, path: str) -> str:
        """The path, or what a link in its place leads to: a new content goes where the old one is."""
        whole = self.absolute(path)
        for _ in range(40):
            with self._allowed(path, "write"), self._parent(self._writable, whole) as (directory, name):
                try:
                    target = os.readlink(name, dir_fd=directory)
                except OSError:
                    return whole
            whole = os.path.join(os.path.dirname(whole), target)
        raise ToolFailure(f"{path}: too many links")

    @contextmanager
    def _parent(self, places: Places, whole: str) -> Iterator[tuple[int, str]]:
        with entry_beneath(places, whole) as found:
            yield found

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

    def _demand_size(self, path: str, size: int) -> None:
        if size > self.largest_bytes:
            raise too_large(path, size, self.largest_bytes)

    def _demand_extension(self, path: str, kind: Need) -> None:
        extension = os.path.splitext(path)[1].removeprefix(".").lower()
        blocked = {str(one).lower() for one in self._settings.get("blocked_extensions", ("exe", "dll", "so", "dylib"))}
        allowed = {str(one).lower() for one in self._settings.get("allowed_extensions", ())}
        if extension in blocked or (allowed and extension not in allowed):
            word = "blocked_extensions" if extension in blocked else "allowed_extensions"
            raise denied(kind, path, why=f"files that end with .{extension}", setting=f"{_FILE_SETTINGS}.{word}")


def too_large(path: str, size: int, limit: int, setting: str = f"{_FILE_SETTINGS}.max_file_size") -> Forbidden:
    """The refusal of a file that is larger than a setting allows."""
    return Forbidden(
        f"{path} has {size:,} bytes, more than {limit:,}",
        hint=f"raise {setting}",
        details={"name": path, "size_bytes": size, "limit_bytes": limit, "setting": setting},
    )


def _place(path: str) -> str:
    return "/" if path == EVERYTHING else path


def _entries(descriptor: int, path: str) -> Iterator[Entry]:
    for name in sorted(os.listdir(descriptor)):
        try:
            found = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
        except FileNotFoundError:
            continue  # It went meanwhile.
        yield _entry(name, os.path.join(path, name), found)


_KINDS: tuple[tuple[Callable[[int], bool], str], ...] = (
    (stat.S_ISREG, "file"),
    (stat.S_ISDIR, "directory"),
    (stat.S_ISLNK, "link"),
)


def _entry(name: str, path: str, found: os.stat_result) -> Entry:
    kind = next((word for test, word in _KINDS if test(found.st_mode)), "other")
    return Entry(name, path, kind, found.st_size, found.st_mtime)


def _remove(directory: int, name: str, *, recursive: bool) -> int:
    if not stat.S_ISDIR(os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode):
        os.unlink(name, dir_fd=directory)
        return 1
    count = 0
    if recursive:
        descriptor = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
        try:
            for inner in os.listdir(descriptor):
                count += _remove(descriptor, inner, recursive=True)
        finally:
            os.close(descriptor)
    os.rmdir(name, dir_fd=directory)
    return count + 1


def _code(error: OSError) -> str:
    return "not_found" if isinstance(error, FileNotFoundError) else "tool_error"
