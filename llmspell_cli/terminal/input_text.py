"""Texts that commands read: files and standard input, with the errors that users can act on."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Sequence

from llmspell_cli.terminal.output import to_stderr
from llmspell_protocol.errors import InvalidRequest, NotFound
from llmspell_protocol.user_home import expanded_user

_SILENT_S = 2.0
"""How long a pipe may say nothing before a person is told that it is waited for."""


def file_text(path: str, *, missing: str = "file not found") -> str:
    """The text in a file, whose path may begin with `~`; `missing` begins the message when there is none.

    Raises:
        NotFound: no such file.
        InvalidRequest: it can't be read, or is not UTF-8; no user has the name after `~`.
    """
    return _decoded(file_bytes(path, missing=missing), path)


def file_bytes(path: str, *, missing: str = "file not found") -> bytes:
    """All of a file, as `file_text` finds it.

    Raises:
        NotFound: no such file.
        InvalidRequest: it can't be read; no user has the name after `~`.
    """
    try:
        with open(expanded_user(path, os.environ), "rb") as file:
            return file.read()
    except FileNotFoundError:
        raise NotFound(f"{missing}: {path}", details={"file": path}) from None
    except OSError as error:
        raise InvalidRequest(f"can't read {path}: {error.strerror}", details={"file": path}) from None


def stdin_text() -> str:
    """All of standard input.

    Raises:
        InvalidRequest: it can't be read, or is not UTF-8.
    """
    try:
        data = sys.stdin.buffer.read()
    except OSError as error:
        raise InvalidRequest(f"can't read standard input: {error.strerror}") from None
    return _decoded(data, "standard input")


def piped_text() -> str | None:
    """What is piped or redirected in, without the ends of lines around it; None at a terminal, and where it is blank.

    Raises:
        InvalidRequest: it is not UTF-8, or has bytes that no text has.
    """
    if sys.stdin.isatty():
        return None
    _tell_that_it_waits()
    text = stdin_text()
    if "\0" in text:
        raise InvalidRequest(
            f"standard input is not text (a zero at character {text.index(chr(0))})",
            hint="an image goes with --image FILE",
            details={"file": "standard input"},
        )
    # The ends of lines around it are the pipe's; blanks before its first word may mean something.
    text = text.strip("\r\n")
    if text.strip():
        return text
    # Programs and jobs have an empty input as they please; who watches has meant something by it.
    if sys.stderr.isatty() and _is_pipe_or_file():
        to_stderr("Standard input is empty\n")
    return None


def input_waits() -> bool:
    """Whether a pipe or a file stands at standard input that has something in it; reads nothing."""
    if sys.stdin.isatty() or not _is_pipe_or_file():
        return False
    # Needed where nothing else reads the input.
    import select

    try:
        descriptor = sys.stdin.fileno()
        status = os.fstat(descriptor)
        if stat.S_ISREG(status.st_mode):
            return os.lseek(descriptor, 0, os.SEEK_CUR) < status.st_size
        return _bytes_in(descriptor) > 0 if select.select([descriptor], [], [], 0)[0] else False
    except (OSError, ValueError):
        return False


def _bytes_in(pipe: int) -> int:
    import array
    import fcntl
    import termios

    count = array.array("i", [0])
    fcntl.ioctl(pipe, termios.FIONREAD, count)
    return count[0]


def files_among(words: Sequence[str]) -> list[str]:
    """The words that are files here, `@` before them or not: their contents may have been meant."""
    plain = (word.removeprefix("@") for word in words)
    return [word for word in plain if word and os.path.isfile(os.path.expanduser(word))]


def _is_pipe_or_file() -> bool:
    try:
        mode = os.fstat(sys.stdin.fileno()).st_mode
    except (OSError, ValueError):
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISREG(mode)


def _tell_that_it_waits() -> None:
    """Says what is waited for where people watch and a pipe stays silent: one that was inherited may never end."""
    if not sys.stderr.isatty():
        return
    # Needed by those who watch alone.
    import select

    try:
        ready, _, _ = select.select([sys.stdin], [], [], _SILENT_S)
    except (OSError, ValueError):
        return  # What can't be waited for is a file.
    if not ready:
        to_stderr("Reading standard input … (< /dev/null if there is none)\n")


def _decoded(data: bytes, origin: str) -> str:
    try:
        # A byte order mark at the beginning does not belong to the text.
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidRequest(
            f"{origin} is not UTF-8 text (byte {error.start})", details={"file": origin, "byte": error.start}
        ) from None
