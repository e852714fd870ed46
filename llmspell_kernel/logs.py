"""Where the kernel's log lines go and what they look like; the lines themselves are the protocol's `LogLine`."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from llmspell_kernel.request import handled_request
from llmspell_protocol.errors import ConfigError
from llmspell_protocol.log_lines import LogLine

if TYPE_CHECKING:
    from llmspell_kernel.log_file import LogFile
    from llmspell_profiles.schema.settings import Settings

TRACE = 5
LEVELS = {
    "off": logging.CRITICAL + 10,
    "error": logging.ERROR,
    "warn": logging.WARNING,
    "info": logging.INFO,
    "debug": logging.DEBUG,
    "trace": TRACE,
}
_WORDS = {logging.CRITICAL: "error", **{number: word for word, number in LEVELS.items()}}
_LOGGERS = ("llmspell_kernel", "llmspell_providers", "llmspell_protocol", "asyncio")


class FileFormatter(logging.Formatter):
    """A line for the log file, with the request that was being handled and the traceback; the module only at trace."""

    def __init__(self, form: Literal["text", "json"], *, with_module: bool) -> None:
        super().__init__()
        self._form = form
        self._with_module = with_module

    def format(self, record: logging.LogRecord) -> str:
        """The line, or lines where something stands below the message."""
        traceback = self.formatException(record.exc_info) if record.exc_info else None
        return self.written(_line(record)._replace(request_id=handled_request.get(), traceback=traceback))

    def remark(self, message: str) -> str:
        """A line of the log itself."""
        return self.written(LogLine(_timestamp(time.time()), "warn", __name__, message))

    def written(self, line: LogLine) -> str:
        """The line in the form of this log."""
        return line.to_json() if self._form == "json" else line.to_text(with_target=self._with_module)


class PeopleFormatter(logging.Formatter):
    """A line for a terminal: no request; a traceback only where debugging was asked for."""

    def __init__(self, *, with_module: bool, with_traceback: bool) -> None:
        super().__init__()
        self._with_module = with_module
        self._with_traceback = with_traceback

    def format(self, record: logging.LogRecord) -> str:
        """The line, or lines where something stands below the message."""
        shown = self.formatException(record.exc_info) if self._with_traceback and record.exc_info else None
        return _line(record)._replace(traceback=shown).to_text(with_target=self._with_module)


class _Lines(logging.Handler):
    """Hands each line to a function."""

    def __init__(self, write: Callable[[str], None]) -> None:
        super().__init__()
        self._write = write

    def emit(self, record: logging.LogRecord) -> None:
        self._write(self.format(record))


def filters_in(environment: Mapping[str, str]) -> str:
    """Levels by module as the environment has them; RUST_LOG is the name that other programs have for them."""
    return environment.get("LLMSPELL_LOG") or environment.get("RUST_LOG", "")


class KernelLog:
    """The log of all our packages: to a file, to standard error, to a function that takes lines (on any thread).

    Nothing goes anywhere before `apply`, which may be called again when the settings have changed. `filters` are levels
    by module, as LLMSPELL_LOG has them (`llmspell_providers=debug,llmspell_kernel=info`); they win over the settings.
    `only_warnings` is for a kernel inside a command, whose user wants no news of what goes well.
    """

    def __init__(
        self,
        *,
        file: Path | None = None,
        stderr: bool = False,
        write: Callable[[str], None] | None = None,
        filters: str = "",
        only_warnings: bool = False,
    ) -> None:
        self._only_warnings = only_warnings
        self._filters = _levels_by_module(filters)
        self._for_people: list[logging.Handler] = []
        if stderr:
            self._for_people.append(logging.StreamHandler(sys.stderr))
        if write is not None:
            self._for_people.append(_Lines(write))
        self._path = file
        self._file: LogFile | None = None
        if file is not None:
            # Only a kernel of its own has a log file.
            from llmspell_kernel.log_file import LogFile
            from llmspell_storage.directories import private_directory

            private_directory(file.parent)
            self._file = LogFile(file, FileFormatter("text", with_module=False).remark)

    def apply(self, settings: Settings) -> None:
        """Logs as the settings say from here on."""
        level = settings.runtime.log_level
        if self._only_warnings and level == "info":
            level = "warn"
        for handler in self._for_people:
            with_traceback = level in ("debug", "trace")
            handler.setFormatter(PeopleFormatter(with_module=level == "trace", with_traceback=with_traceback))
        handlers = list(self._for_people)
        if self._file is not None:
            formatter = FileFormatter(settings.kernel.log_format, with_module=level == "trace")
            self._file.setFormatter(formatter)
            self._file.remark = formatter.remark
            self._file.rotate_bytes = settings.kernel.log_rotate_size
            self._file.rotate_count = settings.kernel.log_rotate_count
            handlers.append(self._file)
        logging.addLevelName(TRACE, "TRACE")
        for name in _LOGGERS:
            logger = logging.getLogger(name)
            logger.setLevel(LEVELS[level])
            logger.propagate = False
            logger.handlers = handlers
        for name, word in self._filters.items():
            logging.getLogger(name).setLevel(LEVELS[word])

    def open(self) -> None:
        """Makes the log file; before, there is none unless something was logged.

        Raises:
            ConfigError: it can't be written.
        """
        if self._file is None:
            return
        try:
            self._file.open()
        except OSError as error:
            raise ConfigError(
                f"cannot write the log file {self._path}: {error.strerror}",
                hint="name another with --log-file, or a directory for it",
                details={"path": str(self._path)},
            ) from None

    def close(self) -> None:
        """Closes the log file."""
        if self._file is not None:
            self._file.close()


def _levels_by_module(filters: str) -> dict[str, str]:
    """The levels that a filter names by logger; what makes no sense in it is left out, as its inventors do."""
    found = {}
    for part in filters.split(","):
        module, _, word = part.strip().partition("=")
        name, word = module.strip().replace("::", "."), word.strip().lower()
        if word not in LEVELS or not name:
            continue
        # The beginning of our packages' names means all of them.
        packages = [package for package in _LOGGERS if package.startswith(name)]
        found.update(dict.fromkeys(packages or ([name] if name.startswith("llmspell_") else []), word))
    return found


def _line(record: logging.LogRecord) -> LogLine:
    level = _WORDS.get(record.levelno, "info")
    return LogLine(_timestamp(record.created), level, record.name, record.getMessage())


def _timestamp(seconds: float) -> str:
    milliseconds = int(seconds * 1000) % 1000
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{milliseconds:03d}Z"
