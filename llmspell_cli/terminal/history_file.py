"""The inputs of earlier sessions: a file that only its owner may read, cut to the newest thousand. Knows no terminal.

One JSON string a line, so that an input of several lines stays one entry. Several sessions may write to it at once.
"""

from __future__ import annotations

import fcntl
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from llmspell_protocol.errors import InvalidRequest
from llmspell_protocol.plain_text import whole_text

ENTRIES = 1000


class HistoryFile:
    """A history of inputs, the oldest first."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def entries(self) -> list[str]:
        """All inputs; none where there is no file yet.

        Raises:
            InvalidRequest: the file can't be read.
        """
        try:
            text = self._path.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return []
        except OSError as error:
            raise InvalidRequest(f"can't read the history {self._path}: {error.strerror}") from None
        return [_entry(line) for line in text.split("\n") if line.strip()][-ENTRIES:]

    def add(self, entry: str) -> None:
        """Adds an input.

        Raises:
            InvalidRequest: the file can't be written.
        """
        with self._locked():
            self._write([*self.entries(), entry][-ENTRIES:])

    def clear(self) -> None:
        """Forgets everything.

        Raises:
            InvalidRequest: the file can't be written.
        """
        with self._locked():
            self._write([])

    @contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # The directory is locked, since the file is replaced.
            fd = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX)
                yield
            finally:
                os.close(fd)
        except OSError as error:
            raise InvalidRequest(f"can't write the history {self._path}: {error.strerror}") from None

    def _write(self, entries: list[str]) -> None:
        # A link leads to the file that is meant, which stays where it is.
        target = os.path.realpath(self._path)
        fd, temporary = tempfile.mkstemp(prefix=".history-", dir=os.path.dirname(target))
        try:
            with os.fdopen(fd, "w", encoding="utf-8") as file:
                file.writelines(whole_text(json.dumps(entry, ensure_ascii=False)) + "\n" for entry in entries)
            os.replace(temporary, target)
        except BaseException:
            os.unlink(temporary)
            raise


def _entry(line: str) -> str:
    """An entry as written here; a line of another program's history is taken as it is."""
    try:
        value = json.loads(line)
    except json.JSONDecodeError:
        return line
    return value if isinstance(value, str) else line
