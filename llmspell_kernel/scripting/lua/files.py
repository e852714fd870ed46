"""Which files a script may touch: it reads below its own directory and the working directory, all else by permission.

Neither `..` nor a link leads out, whatever is moved meanwhile: files are opened by descriptors (`beneath`), and the
directories are those that were there when the execution began, whatever has their names later.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from llmspell_kernel.scripting.lua.refusals import Denied, Refusal, refusal
from llmspell_protocol.beneath import (
    HeldDirectory,
    NotBeneath,
    NotPlain,
    Places,
    entry_beneath,
    open_beneath,
    open_plain,
)

MAX_SOURCE_BYTES = 10_000_000
EVERYTHING = "*"
"""What stands in a permission for whatever there is, as in the protocol's `request_options`."""
_FLAGS = {
    "r": os.O_RDONLY,
    "r+": os.O_RDWR,
    "w": os.O_WRONLY | os.O_CREAT | os.O_TRUNC,
    "w+": os.O_RDWR | os.O_CREAT | os.O_TRUNC,
    "a": os.O_WRONLY | os.O_CREAT | os.O_APPEND,
    "a+": os.O_RDWR | os.O_CREAT | os.O_APPEND,
}
_ELSEWHERE = "files of scripts need a kernel on this machine"


class Files:
    """The places of one execution. Without directories (a caller on another machine) nothing can be read.

    What is below the directories can be read, and what `read` names: absolute paths of files and directories, `*` for
    everything. `write` names what can be made, changed and removed; `access` adds the directories to it.
    """

    def __init__(
        self,
        script_directory: str | None = None,
        working_directory: str | None = None,
        access: bool = False,
        *,
        read: Sequence[str] = (),
        write: Sequence[str] = (),
    ) -> None:
        self.script_directory = script_directory
        self.working_directory = working_directory
        # A command in the root says nothing about what its scripts are to see.
        below = [directory for directory in self._directories if directory != "/"]
        self._readable = Places([*below, *map(_place, read)])
        self._writable = Places([*(below if access else ()), *map(_place, write)])
        self._temporary_directory = os.environ.get("TMPDIR") or "/tmp"
        self._temporary_held = _held(self._temporary_directory) if self._writable else None
        self._temporary: dict[str, str] = {}

    def located(self, path: str) -> str:
        """The absolute path of a path, as a script means it."""
        return os.path.normpath(self._located(path))

    def allow(self, kind: str, path: str) -> None:
        """From here on an absolute path may be read, or written."""
        (self._readable if kind == "read" else self._writable).add(path)

    @property
    def _directories(self) -> list[str]:
        return [place for place in (self.script_directory, self.working_directory) if place is not None]

    @property
    def search_path(self) -> str:
        """What `package.path` is at first."""
        entries = ["./?.lua", "./?/init.lua"]
        if self.script_directory is not None:
            entries += [f"{self.script_directory}/?.lua", f"{self.script_directory}/?/init.lua"]
        return ";".join(entries)

    def read_module(self, path: str) -> tuple[bytes, str]:
        """The source of a Lua file and the name of its chunk.

        Raises:
            Refusal: it is outside, missing, too large or no file.
        """
        try:
            with os.fdopen(self._open(path, os.O_RDONLY, None), "rb") as file:
                source = file.read(MAX_SOURCE_BYTES + 1)
        except OSError:
            raise refusal("not_found", f"cannot open {path}") from None
        if len(source) > MAX_SOURCE_BYTES:
            raise refusal("not_found", f"{path} is longer than {MAX_SOURCE_BYTES} bytes")
        return without_shebang(source), f"@{path.removeprefix('./')}"

    def find_module(self, name: str, templates: str) -> tuple[bytes, str, str]:
        """A module by `package.path`: source, chunk name and path.

        Raises:
            Refusal: no template leads to a file; the message lists what was tried, in Lua's form.
        """
        tried = []
        for template in templates.split(";"):
            path = template.replace("?", name.replace(".", "/"))
            if not path:
                continue
            try:
                source, chunk = self.read_module(path)
            except Refusal as refused:
                if refused.message == _ELSEWHERE:
                    tried = [f"\n\t{_ELSEWHERE}"]
                    break
                denied = refused.message.startswith("Path not allowed")
                tried.append(f"\n\t{refused.message}" if denied else f"\n\tno file '{path}'")
                continue
            return source, chunk, path
        raise refusal("not_found", "".join(tried))

    def open(self, path: str, mode: str, asker: str = "io.open") -> int:
        """A descriptor of a plain file, for a mode of Lua's `io.open`; `asker` is the function, for refusals.

        Raises:
            Refusal: the script may not open it.
            OSError: it cannot be opened.
        """
        flags = _FLAGS[mode.replace("b", "")]
        if path not in self._temporary or self._temporary_held is None:
            return self._open(path, flags, asker)
        try:
            return open_plain(self._temporary[path], flags, self._temporary_descriptor())
        except NotPlain:
            raise _not_plain(path) from None

    def remove(self, path: str) -> None:
        """Removes a file, a link or an empty directory; fails as `open` does."""
        with self._entry(path, "os.remove") as (directory, name):
            try:
                os.unlink(name, dir_fd=directory)
            except (IsADirectoryError, PermissionError):  # What unlink says of a directory differs by system.
                if not stat.S_ISDIR(os.lstat(name, dir_fd=directory).st_mode):
                    raise
                os.rmdir(name, dir_fd=directory)

    def rename(self, old: str, new: str) -> None:
        """Renames a file, a link or a directory; fails as `open` does."""
        with (
            self._entry(old, "os.rename") as (from_directory, from_name),
            self._entry(new, "os.rename") as (to_directory, to_name),
        ):
            os.rename(from_name, to_name, src_dir_fd=from_directory, dst_dir_fd=to_directory)

    def temporary_name(self) -> str:
        """A path for a file that doesn't exist yet; the script may use it as its own."""
        name = f"lua_{os.urandom(8).hex()}"
        path = f"{self._temporary_directory}/{name}"
        self._temporary[path] = name
        return path

    def _temporary_descriptor(self) -> int:
        if self._temporary_held is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), self._temporary_directory)
        return self._temporary_held.descriptor

    def _open(self, path: str, flags: int, asker: str | None) -> int:
        """`asker` None: a module is read."""
        if flags & os.O_ACCMODE == os.O_RDONLY:
            return self._reach(path, flags, asker, "read")
        if flags & os.O_ACCMODE == os.O_RDWR and not flags & os.O_TRUNC:
            # What was there before can be read through it.
            descriptor = self._reach(path, flags, asker, "write")
            try:
                os.close(self._reach(path, os.O_RDONLY, asker, "read"))
            except BaseException:
                os.close(descriptor)
                raise
            return descriptor
        return self._reach(path, flags, asker, "write")

    def _reach(self, path: str, flags: int, asker: str | None, kind: str) -> int:
        full = self._located(path)
        try:
            return open_beneath(self._readable if kind == "read" else self._writable, full, flags)
        except NotBeneath:
            raise _outside(path, full, asker, kind) from None
        except NotPlain:
            raise _not_plain(path) from None

    @contextmanager
    def _entry(self, path: str, asker: str) -> Iterator[tuple[int, str]]:
        if path in self._temporary and self._temporary_held is not None:
            yield self._temporary_descriptor(), self._temporary[path]
            return
        full = self._located(path)
        try:
            with entry_beneath(self._writable, full) as found:
                yield found
        except NotBeneath:
            raise _outside(path, full, asker, "write") from None
        except NotPlain:
            raise _not_plain(path) from None

    def _located(self, path: str) -> str:
        if not self._directories and not self._readable and not self._writable:
            raise refusal("not_found", _ELSEWHERE)
        if "\0" in path:
            raise refusal("not_found", "Path not allowed: it contains a zero byte")
        return os.path.join(self.working_directory or self.script_directory or "/", path)


def _held(directory: str) -> HeldDirectory | None:
    try:
        return HeldDirectory(directory)
    except OSError:
        return None  # What isn't there has nothing below it.


def _place(path: str) -> str:
    return "/" if path == EVERYTHING else path


def _outside(path: str, full: str, asker: str | None, kind: str) -> Refusal:
    if asker is None:
        text = f"Path not allowed: {path} is neither below the script's directory nor the working directory"
        return refusal("not_found", f"{text}, and needs --allow-read={path}")
    doing = "reading" if kind == "read" else "writing"
    return Denied(f"{asker}: {doing} {path} needs --allow-{kind}={path} (Path not allowed)", kind, full)


def _not_plain(path: str) -> Refusal:
    return refusal("not_found", f"Path not allowed: {path} is not a plain file")


def without_shebang(source: bytes) -> bytes:
    """The source with a first line `#!…` made empty; the lines keep their numbers."""
    if not source.startswith(b"#"):
        return source
    end = source.find(b"\n")
    return source[end:] if end >= 0 else b""
