"""JSON objects and texts in files that users name: read with errors that say where, written for their owner alone."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
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
    """Writes a JSON object; a file that is new may be read by its owner alone.

    Raises:
        InvalidRequest: the file can't be written.
    """
    write_private(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def write_private(path: str, text: str) -> None:
    """Writes a text; a file that is new may be read by its owner alone.

    Raises:
        InvalidRequest: the file can't be written.
    """
    # Half of a pair of code units (Lua and JSON know it, UTF-8 does not) becomes U+FFFD, as on the wire.
    data = whole_text(text).encode()
    try:
        fd = os.open(expanded_user(path, os.environ), os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "wb") as file:
            file.write(data)
    except OSError as error:
        raise InvalidRequest(f"can't write {path}: {error.strerror}", details={"file": path}) from None
