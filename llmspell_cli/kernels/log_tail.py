"""The end of a log, and what is added to it: entries by level and age, across rotated files. Knows files, not kernels.

An entry is a line that `log_lines` can read, with what stands below it (a traceback), as it is in the file.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, NamedTuple

from llmspell_protocol.log_lines import LEVELS, LogLine, log_files, read_line, read_lines
from llmspell_protocol.plain_text import data_lines

LOOK_EVERY_S = 0.25
"""How often a followed file is looked at. Files tell of their growth only through interfaces of one system each
(inotify, kqueue), and on network drives through none; a look costs two system calls."""
_FIRST_WINDOW = 65_536


class Entry(NamedTuple):
    """One entry of a log as it stands there; `head` is its first line as read, None where no log line began it."""

    lines: tuple[str, ...]
    head: LogLine | None

    def parsed(self) -> LogLine | None:
        """The whole entry, what stands below the message included."""
        return next(read_lines(self.lines), None)


class Wanted(NamedTuple):
    """Which entries are shown: of this level or a more important one, written at this time (ISO 8601, UTC) or later."""

    level: str | None = None
    since: str | None = None

    def __call__(self, entry: Entry) -> bool:
        """Whether the entry is one of them; lines that no log line began are so where everything is."""
        if entry.head is None:
            return self.level is None and self.since is None
        if self.since is not None and entry.head.ts < self.since:
            return False
        return self.level is None or _rank(entry.head.level) >= LEVELS.index(self.level)

    def reached(self, oldest: Entry) -> bool:
        """Whether entries before this one are too old anyway."""
        return self.since is not None and oldest.head is not None and oldest.head.ts < self.since


def _rank(level: str) -> int:
    # A level that this version does not know is shown rather than hidden.
    return LEVELS.index(level) if level in LEVELS else len(LEVELS)


def entries(lines: Iterable[str]) -> Iterator[Entry]:
    """The entries that these lines make up; lines that none of them began come first, as one entry."""
    gathered: list[str] = []
    head: LogLine | None = None
    for line in lines:
        began = read_line(line)
        if began is not None:
            if gathered:
                yield Entry(tuple(gathered), head)
            gathered, head = [], began
        gathered.append(line)
    if gathered:
        yield Entry(tuple(gathered), head)


def last_entries(path: Path, wanted: Wanted, count: int | None) -> list[Entry]:
    """The last `count` wanted entries of a log and its rotated files (None: all), the oldest first."""
    found: list[Entry] = []
    for place in log_files(path):
        newer = found
        for read, whole in _ends(place):
            chosen = [entry for entry in read if wanted(entry)]
            found = [*chosen, *newer]
            if _enough(found, count) or (read and wanted.reached(read[0])):
                return found[-count:] if count else found if count is None else []
            if whole:
                break
    return found


def _enough(found: list[Entry], count: int | None) -> bool:
    return count is not None and len(found) >= count


def _ends(path: Path) -> Iterator[tuple[list[Entry], bool]]:
    """Ever longer ends of a file as entries, each with whether it is the whole file."""
    try:
        if path.suffix == ".gz":
            # Only who looks far back needs it.
            import gzip

            with gzip.open(path) as packed:
                yield list(entries(data_lines(packed.read()))), True
            return
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            window = _FIRST_WINDOW
            while window < size:
                file.seek(size - window)
                # The first line may be half a one, and what stands below may belong to an entry outside.
                read = [entry for entry in entries(data_lines(file.read(window))[1:]) if entry.head is not None]
                yield read, False
                window *= 4
            file.seek(0)
            yield list(entries(data_lines(file.read(size)))), True
    except FileNotFoundError:
        return  # It was rotated at this moment.


class Follower:
    """What is added to a log from now on, also when it is rotated or not there yet; use as a context manager.

    `pause` waits between two looks, for the seconds it is given.
    """

    def __init__(self, path: Path, pause: Callable[[float], None] = time.sleep) -> None:
        self._path = path
        self._pause = pause
        self._file: IO[bytes] | None = None
        self._half = b""
        self._open()
        if self._file is not None:
            self._file.seek(0, os.SEEK_END)

    def __enter__(self) -> Follower:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def __iter__(self) -> Iterator[list[Entry]]:
        """The entries that were added since the last look, whenever there are any; ends only when a pause raises."""
        while True:
            if added := self.look():
                yield added
            else:
                self._pause(LOOK_EVERY_S)

    def look(self) -> list[Entry]:
        """What has been added by now."""
        data = self._read()
        if self._was_replaced():
            # The old file is complete by now: a rotated log is not written to.
            data += self._read()
            self._open()
            data += self._read()
        whole, newline, half = (self._half + data).rpartition(b"\n")
        self._half = half
        return list(entries(data_lines(whole))) if newline else []

    def _read(self) -> bytes:
        if self._file is None:
            return b""
        if os.fstat(self._file.fileno()).st_size < self._file.tell():
            self._file.seek(0)  # It was truncated.
        return self._file.read()

    def _was_replaced(self) -> bool:
        try:
            now = self._path.stat()
        except FileNotFoundError:
            return False
        return self._file is None or not os.path.samestat(now, os.fstat(self._file.fileno()))

    def _open(self) -> None:
        try:
            file = self._path.open("rb")
        except FileNotFoundError:
            return
        if self._file is not None:
            self._file.close()
        self._file = file
