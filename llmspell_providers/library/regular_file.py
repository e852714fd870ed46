"""Small files that another user may have put there: read only where they are files, and never more than a limit.

Nothing here waits for a pipe's other end or reads a device.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from llmspell_providers.library.names import as_text

_KINDS = {
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


class Unreadable(Exception):
    """The file can't be used; the text says why, as the end of a sentence that begins with its name."""


def reason_of(error: OSError) -> str:
    """Why the system refuses, as the end of a sentence."""
    if error.errno == errno.ELOOP:
        return "is a link that leads to itself"
    return f"can't be read: {(error.strerror or str(error)).lower()}"


def kind_of(mode: int) -> str | None:
    """What stands in a file's place, by its mode; None for a regular file."""
    return None if stat.S_ISREG(mode) else _KINDS.get(stat.S_IFMT(mode), "no regular file")


def regular_status(path: Path) -> os.stat_result:
    """The status of a regular file, links followed.

    Raises:
        FileNotFoundError: nothing is there.
        Unreadable: something else is there, or a link that leads nowhere.
    """
    try:
        status = path.stat()
    except FileNotFoundError:
        if path.is_symlink():
            raise Unreadable(f"is a link to {as_text(os.readlink(path))}, which is not there") from None
        raise
    except (OSError, ValueError) as error:
        raise Unreadable(reason_of(error) if isinstance(error, OSError) else str(error)) from error
    if (kind := kind_of(status.st_mode)) is not None:
        raise Unreadable(f"is {kind}, not a file")
    return status


def read_regular(path: Path, most_bytes: int) -> bytes:
    """The whole file.

    Raises:
        FileNotFoundError: nothing is there.
        Unreadable: something else is there, it is longer than `most_bytes`, or the system refuses.
    """
    regular_status(path)
    try:
        # Something else may be there by now; opening a pipe would wait.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb", buffering=0) as stream:
            if (kind := kind_of(os.fstat(descriptor).st_mode)) is not None:
                raise Unreadable(f"is {kind}, not a file")
            data = bytearray()
            while len(data) <= most_bytes and (piece := stream.read(most_bytes + 1 - len(data))):
                data += piece
    except FileNotFoundError:
        raise
    except OSError as error:
        raise Unreadable(reason_of(error)) from error
    if len(data) > most_bytes:
        raise Unreadable(f"is longer than {most_bytes} bytes")
    return bytes(data)
