"""JSON objects and texts in files that users name: read with errors that say where, written whole for their owner."""

from __future__ import annotations

import errno
import json
import os
import stat
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, NoReturn

from llmspell_cli.terminal.input_text import file_text
from llmspell_protocol.errors import InvalidRequest
from llmspell_protocol.plain_text import whole_text
from llmspell_protocol.user_home import expanded_user


def read_json(path: str) -> dict[str, Any]:
    """The JSON object in a file; `~` is the user's home.

    Raises:
        NotFound: no such file.
        ConfigError: `~` of a user without a home directory.
        InvalidRequest: it can't be read or holds no JSON object.
    """
    return json_object(file_text(path), path)


def json_object(text: str, path: str) -> dict[str, Any]:
    """The JSON object in a text; `path` is what errors call it.

    Raises:
        InvalidRequest: it is none.
    """
    try:
        value = json.loads(text, parse_constant=_refuse)
    except json.JSONDecodeError as error:
        raise InvalidRequest(
            f"{path}: line {error.lineno} column {error.colno}: {error.msg}", details={"file": path}
        ) from None
    except ValueError as error:
        raise InvalidRequest(f"{path}: {error}", details={"file": path}) from None
    except RecursionError:
        raise InvalidRequest(f"{path}: nested too deeply", details={"file": path}) from None
    if not isinstance(value, dict):
        raise InvalidRequest(f"{path} holds no JSON object", details={"file": path})
    return value


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON value")


def write_json(path: str, value: Mapping[str, Any]) -> None:
    """Writes a JSON object, as `write_private` does.

    Raises:
        InvalidRequest: the file can't be written.
    """
    write_private(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def write_private(path: str, text: str) -> None:
    """Writes a text; a file that is new may be read by its owner alone, one that is there keeps its mode.

    A file is there whole or as it was before, whatever happens meanwhile. What is more than a file of the user's own
    (a pipe, a device, a link, a file with several names) is written as it stands.

    Raises:
        InvalidRequest: the file can't be written.
    """
    # Half of a pair of code units (Lua and JSON know it, UTF-8 does not) becomes U+FFFD, as on the wire.
    data = whole_text(text).encode()
    target = expanded_user(path, os.environ)
    try:
        mode = _replaceable(target)
        if mode is None or not _replaced(target, data, mode):
            _write_in_place(target, data)
    except OSError as error:
        raise InvalidRequest(f"can't write {path}: {error.strerror}", details={"file": path}) from None


def _replaceable(target: str) -> int | None:
    """The mode of the file that may take the place of what is there; None: what is there has to stay."""
    try:
        found = os.lstat(target)
    except FileNotFoundError:
        return 0o600
    is_plain = stat.S_ISREG(found.st_mode) and found.st_nlink == 1 and found.st_uid == os.geteuid()
    return stat.S_IMODE(found.st_mode) if is_plain and os.access(target, os.W_OK) else None


def _replaced(target: str, data: bytes, mode: int) -> bool:
    """Puts a whole file in the place of what is there; False: its directory, or a mount of the file, does not allow
    it."""
    # Few commands write such files.
    import tempfile

    try:
        # Its name does not have the target's: that may be as long as names can be.
        fd, partial = tempfile.mkstemp(prefix=".llmspell-", suffix=".part", dir=os.path.dirname(target) or ".")
    except OSError as problem:
        if problem.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            return False
        raise
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(data)
            file.flush()
            os.fchmod(file.fileno(), mode)
            # Else a power cut could leave the name with nothing in it.
            os.fsync(file.fileno())
        os.replace(partial, target)
    except OSError as problem:
        if problem.errno != errno.EBUSY:
            raise
        return False
    finally:
        with suppress(FileNotFoundError):
            os.unlink(partial)
    return True


def _write_in_place(target: str, data: bytes) -> None:
    fd = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(data)
