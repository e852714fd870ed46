"""Texts that commands read: files and standard input, with the errors that users can act on."""

from __future__ import annotations

import os
import sys

from llmspell_protocol.errors import InvalidRequest, NotFound
from llmspell_protocol.user_home import expanded_user


def file_text(path: str, *, missing: str = "file not found") -> str:
    """The text in a file, whose path may begin with `~`; `missing` begins the message when there is none.

    Raises:
        NotFound: no such file.
        InvalidRequest: it can't be read, or is not UTF-8; no user has the name after `~`.
    """
    try:
        with open(expanded_user(path, os.environ), "rb") as file:
            data = file.read()
    except FileNotFoundError:
        raise NotFound(f"{missing}: {path}", details={"file": path}) from None
    except OSError as error:
        raise InvalidRequest(f"can't read {path}: {error.strerror}", details={"file": path}) from None
    return _decoded(data, path)


def stdin_text() -> str:
    """All of standard input.

    Raises:
        InvalidRequest: it is not UTF-8.
    """
    return _decoded(sys.stdin.buffer.read(), "standard input")


def _decoded(data: bytes, origin: str) -> str:
    try:
        # A byte order mark at the beginning does not belong to the text.
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidRequest(
            f"{origin} is not UTF-8 text (byte {error.start})", details={"file": origin, "byte": error.start}
        ) from None
