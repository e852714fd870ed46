"""Files of graphs: written whole or not at all, known by what stands at their end, and checked.

At the end of a file stands a block of `TRAILER_BYTES`: JSON with what the graph was made with and from, its size and a
checksum of its content, and a checksum of itself. Opening looks at that block and the size alone and maps the rest, so
that it costs nothing; `content_is_sound` reads all. A mapped graph whose content is damaged could end the process: a
file beside it says that it is looked at unchecked, and is taken away in an orderly end. What finds one checks first.
"""

from __future__ import annotations

import fcntl
import json
import mmap
import os
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llmspell_rag.index.hnsw import Graph

TRAILER_BYTES = 4096
_MAGIC = "llmspell vectors 1"
_BLOCK = 1 << 20


class Damaged(Exception):
    """A file is not what it should be; its text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What a file's graph was made from, and with what."""

    database: str
    place: int
    epoch: int
    generation: int
    stamp: str
    last: int
    """the highest number that was there, in the graph or not"""
    dimension: int
    metric: str
    quantization: str
    m: int
    count: int


class Mapped:
    """An open file: what it says of itself, and its content."""

    def __init__(self, path: Path, about: About, mapping: mmap.mmap, checksum: int) -> None:
        self.path = path
        self.about = about
        self.mapping = mapping
        self.content = memoryview(mapping)[: len(mapping) - TRAILER_BYTES]
        self._checksum = checksum

    def content_is_sound(self, go_on: Callable[[], bool] = lambda: True) -> bool | None:
        """Whether the content is what was written; reads all of it. None where `go_on` ended it."""
        found = 0
        for first in range(0, len(self.content), _BLOCK):
            if not go_on():
                return None
            found = zlib.crc32(self.content[first : first + _BLOCK], found)
        return found == self._checksum


def save(path: Path, graph: Graph, about: About) -> int:
    """Writes a graph; the file is there when it is complete and on the disk. Returns its bytes.

    A file that another process has saved from a later state of the same vectors stays.

    Raises:
        OSError: there is no room, or the folder can't be written.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _remove_left(path)
    partial = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        os.close(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600))
        graph.save(partial)
        with partial.open("r+b") as file:
            checksum, size = 0, 0
            while block := file.read(_BLOCK):
                checksum, size = zlib.crc32(block, checksum), size + len(block)
            file.seek(0, os.SEEK_END)
            file.write(_trailer(about, size, checksum))
            file.flush()
            os.fsync(file.fileno())
        with _one_at_a_time(path):
            if not _is_later(path, about):
                os.replace(partial, path)
                _sync_directory(path.parent)
    finally:
        partial.unlink(missing_ok=True)
    return size + TRAILER_BYTES


def opened(path: Path) -> Mapped | None:
    """A file, mapped; None: there is none.

    Raises:
        Damaged: it is cut, of another make, or can't be read.
    """
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size <= TRAILER_BYTES:
                raise Damaged(f"it has {size} bytes")
            mapping = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Damaged(str(error.strerror)) from None
    about, checksum = _read_trailer(mapping[-TRAILER_BYTES:], size - TRAILER_BYTES)
    return Mapped(path, about, mapping, checksum)


def _trailer(about: About, size: int, checksum: int) -> bytes:
    said = json.dumps({"magic": _MAGIC, "size": size, "checksum": checksum, **asdict(about)}).encode()
    return (b"%08x" % zlib.crc32(said) + said).ljust(TRAILER_BYTES, b"\n")


def _read_trailer(block: bytes, size: int) -> tuple[About, int]:
    said = block[8:].rstrip(b"\n")
    if block[:8] != b"%08x" % zlib.crc32(said):
        raise Damaged("its end is not as it was written")
    content = json.loads(said)
    if content.get("magic") != _MAGIC:
        raise Damaged("it was written by another version")
    if content["size"] != size:
        raise Damaged(f"it has {size} bytes in place of {content['size']}")
    return About(**{field.name: content[field.name] for field in fields(About)}), content["checksum"]


def _remove_left(path: Path) -> None:
    """Takes away what processes that have ended have left of files that they did not complete."""
    for left in path.parent.glob(f"{path.name}.*.part"):
        number = left.name.split(".")[-2]
        if not (number.isdecimal() and _runs(int(number))):
            left.unlink(missing_ok=True)


def _is_later(path: Path, about: About) -> bool:
    """Whether the file that is there holds a later state than this of the same vectors."""
    try:
        there = opened(path)
    except Damaged:
        return False
    if there is None:
        return False
    same = (there.about.database, there.about.place, there.about.epoch) == (about.database, about.place, about.epoch)
    return same and there.about.generation > about.generation


@contextmanager
def _one_at_a_time(path: Path) -> Iterator[None]:
    descriptor = os.open(path.parent / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class Unchecked:
    """The mark that a file is looked at before its content was checked: a file beside it, by process."""

    def __init__(self, path: Path) -> None:
        self._mark = path.with_name(f"{path.name}.{os.getpid()}.unchecked")

    @staticmethod
    def was_left(path: Path) -> bool:
        """Whether a process ended while it looked at the file unchecked. Marks of such processes are taken away."""
        left = False
        for mark in path.parent.glob(f"{path.name}.*.unchecked"):
            number = mark.name.split(".")[-2]
            if number.isdecimal() and _runs(int(number)):
                continue
            mark.unlink(missing_ok=True)
            left = True
        return left

    def set(self) -> None:
        """Makes the mark; where that can't be, the file is not looked at unchecked (`OSError`)."""
        os.close(os.open(self._mark, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))

    def clear(self) -> None:
        """Takes the mark away."""
        self._mark.unlink(missing_ok=True)


def _runs(process: int) -> bool:
    if process == os.getpid():
        return False  # An earlier one of the same id.
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
