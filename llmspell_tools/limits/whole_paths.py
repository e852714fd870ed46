"""A path as a call writes it, made a whole one. Looks nothing up."""

from __future__ import annotations

import os

from llmspell_protocol.errors import InvalidRequest
from llmspell_protocol.user_home import expanded_user

_LONGEST_BYTES = 4096
"""Linux's PATH_MAX: each directory on the way is held open."""


def whole_path(path: str, directory: str | None) -> str:
    """The path below `directory` as a whole one, without `.` and doubled slashes.

    Raises:
        InvalidRequest: it is empty, too long, no path at all, or relative to nothing.
    """
    if not path or "\0" in path:
        raise InvalidRequest("the path is empty" if not path else "the path has a zero byte in it")
    try:
        if len(os.fsencode(path)) >= _LONGEST_BYTES:
            raise InvalidRequest(f"the path is longer than {_LONGEST_BYTES} bytes")
    except UnicodeEncodeError:
        raise InvalidRequest("the path has half a character in it") from None
    path = expanded_user(path, os.environ)
    if not os.path.isabs(path):
        if directory is None:
            raise InvalidRequest(f"'{path}' is not a whole path", hint="begin it with /")
        path = os.path.join(directory, path)
    # `..` stays: where it leads depends on the links before it.
    return "/" + "/".join(part for part in path.split("/") if part not in ("", "."))
