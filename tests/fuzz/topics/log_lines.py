"""A kernel's log: one entry in, one entry out, whatever its message, its request and its traceback say."""

import logging
from pathlib import Path
from typing import Any

from llmspell_cli.kernels.log_tail import Entry, Follower, Wanted, entries, last_entries
from llmspell_kernel.log_file import LogFile
from llmspell_kernel.logs import FileFormatter
from llmspell_kernel.request import handled_request
from llmspell_protocol.log_lines import last_lines
from llmspell_protocol.plain_text import text_lines
from tests.fuzz.hostile_text import hostile_text
from tests.fuzz.trial import Trial

_LEVELS = (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR)
_WORDS = {logging.DEBUG: "debug", logging.INFO: "info", logging.WARNING: "warn", logging.ERROR: "error"}
_ENTRIES = 6


def run(trial: Trial) -> None:
    """Writes entries with the kernel's own handler and reads them in all the ways in which they are read."""
    while trial.more():
        path = trial.directory / f"kernel-{trial.tried}.log"
        form: Any = trial.random.choice(("text", "json"))
        formatter = FileFormatter(form, with_module=trial.random.random() < 0.5)
        file = LogFile(path, formatter.remark)
        file.setFormatter(formatter)
        file.open()
        with Follower(path) as follower:
            written = [_written(trial, file) for _ in range(_ENTRIES)]
            followed = follower.look()
        file.close()
        for read in (
            followed,
            last_entries(path, Wanted(), None),
            last_entries(path, Wanted(), _ENTRIES),
            list(entries(last_lines(path, 10_000))),
        ):
            _compare(read, written, form, path)
        errors = [one for one in written if one[0] == "error"]
        _compare(last_entries(path, Wanted("error"), None), errors, form, path)
        path.unlink()


def _written(trial: Trial, file: LogFile) -> tuple[str, str, str | None]:
    """Logs one entry; its level, message and request."""
    level = trial.random.choice(_LEVELS)
    message = hostile_text(trial.random)
    request = hostile_text(trial.random, 3) or None
    token = handled_request.set(request)
    try:
        file.handle(logging.LogRecord("llmspell_kernel.fuzz", level, __file__, 1, message, None, None))
    finally:
        handled_request.reset(token)
    return _WORDS[level], message, request


def _compare(read: list[Entry], written: list[tuple[str, str, str | None]], form: str, path: Path) -> None:
    parsed = [entry.parsed() for entry in read]
    found = [(one.level, one.message, one.request_id, one.traceback) if one else None for one in parsed]
    expected = [(level, *_as_read(message, request, form)) for level, message, request in written]
    assert found == expected, f"{form} log {path.read_bytes()!r}: {found!r} in place of {expected!r}"


def _as_read(message: str, request: str | None, form: str) -> tuple[str, str | None, str | None]:
    """What an entry says when it is read: in text, further lines stand below the message."""
    if form == "json":
        return _joined(message), _joined(request) if request else None, None
    shown_message = message.encode("utf-8", "backslashreplace").decode()
    first, *more = [line.rstrip("\r") for line in text_lines(shown_message)] or [""]
    shown = request.encode("utf-8", "replace").decode() if request else request
    return first, shown, "\n".join(more) if more else None


def _joined(text: str) -> str:
    """Two halves of a pair are one sign to JSON."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
