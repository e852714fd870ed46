"""What a child process wrote before it failed without an answer: on its standard streams, and in its log.

Knows files, not kernels.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from llmspell_protocol.errors import Unavailable
from llmspell_protocol.plain_text import data_lines

_LINES = 10


class StartFailure:
    """Made before the child is started, with `fd` as its standard output and error: a file without a name.

    The file holds what an interpreter or an engine writes before, or beside, a log of its own.
    """

    def __init__(self, log_file: Path) -> None:
        with tempfile.TemporaryFile() as file:
            self.fd = os.dup(file.fileno())
        self._log_file = log_file
        self._log_size = _size(log_file)

    def close(self) -> None:
        """Closes the file: the child has reported its start or its failure itself."""
        os.close(self.fd)

    def failure(self, message: str) -> Unavailable:
        """The error for a child that failed, with its last lines below the message; closes this, too."""
        with os.fdopen(self.fd, "rb") as file:
            file.seek(0)
            lines = _last(file.read())
        lines = [*self._logged(), *lines]
        hint = "llmspell kernel start --trace debug, without --daemon, shows more"
        return Unavailable("\n".join([message, *(f"  {line}" for line in lines)]), hint=hint, details={"log": lines})

    def _logged(self) -> list[str]:
        """The last lines that the log has had since this was made."""
        try:
            with self._log_file.open("rb") as file:
                file.seek(self._log_size if _size(self._log_file) >= self._log_size else 0)
                return _last(file.read())
        except OSError:
            return []  # The child did not come so far.


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _last(data: bytes) -> list[str]:
    return data_lines(data)[-_LINES:]
