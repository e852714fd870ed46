"""Where the kernel's log lines go and what they look like: `2025-10-12T10:15:30.123Z [INFO] message`."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable
from pathlib import Path

TRACE = 5
LEVELS = {
    "off": logging.CRITICAL + 10,
    "error": logging.ERROR,
    "warn": logging.WARNING,
    "info": logging.INFO,
    "debug": logging.DEBUG,
    "trace": TRACE,
}
_LOGGERS = ("llmspell_kernel", "llmspell_providers", "llmspell_protocol", "asyncio")


class LineFormatter(logging.Formatter):
    """UTC with milliseconds, the level, the message; the module's name only at trace.

    Tracebacks are for files: people see one only where they asked for debugging.
    """

    converter = staticmethod(time.gmtime)

    def __init__(self, *, with_module: bool, with_traceback: bool = True) -> None:
        self._with_traceback = with_traceback
        where = " %(name)s:" if with_module else ""
        super().__init__(f"%(asctime)s.%(msecs)03dZ [%(levelname)s]{where} %(message)s", "%Y-%m-%dT%H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        """The line, with the traceback below it where that is wanted."""
        if self._with_traceback or record.exc_info is None:
            return super().format(record)
        plain = logging.makeLogRecord({**record.__dict__, "exc_info": None, "exc_text": None})
        return super().format(plain)


class _Lines(logging.Handler):
    """Hands each line to a function."""

    def __init__(self, write: Callable[[str], None]) -> None:
        super().__init__()
        self._write = write

    def emit(self, record: logging.LogRecord) -> None:
        self._write(self.format(record))


def log_to(level: str, *, file: Path | None, rotate_bytes: int = 0, rotate_count: int = 0, stderr: bool) -> None:
    """Sends the log of all our packages to a file, to standard error, or both."""
    handlers: list[logging.Handler] = []
    if file is not None:
        # Only a kernel of its own has a log file.
        from llmspell_kernel.directories import private_directory
        from llmspell_kernel.log_file import PrivateRotatingFile

        private_directory(file.parent)
        handlers.append(PrivateRotatingFile(file, maxBytes=rotate_bytes, backupCount=rotate_count))
        handlers[-1].setFormatter(LineFormatter(with_module=level == "trace"))
    if stderr:
        handlers.append(logging.StreamHandler(sys.stderr))
        handlers[-1].setFormatter(_for_people(level))
    _handle(level, handlers)


def log_through(level: str, write: Callable[[str], None]) -> None:
    """Sends the log of all our packages to a function, a line at a time; it is called on any thread."""
    handler = _Lines(write)
    handler.setFormatter(_for_people(level))
    _handle(level, [handler])


def _for_people(level: str) -> LineFormatter:
    return LineFormatter(with_module=level == "trace", with_traceback=level in ("debug", "trace"))


def _handle(level: str, handlers: list[logging.Handler]) -> None:
    logging.addLevelName(logging.WARNING, "WARN")
    logging.addLevelName(TRACE, "TRACE")
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        logger.setLevel(LEVELS[level])
        logger.propagate = False
        logger.handlers = handlers
