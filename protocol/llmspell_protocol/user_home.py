"""The user's home directory, and paths that begin with `~`. One answer for all, from an environment that is given.

`os.path.expanduser` leaves what it doesn't know as it is, and a directory called `~` would appear wherever one stands.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from llmspell_protocol.errors import ConfigError, InvalidRequest

HINT = "set HOME or LLMSPELL_HOME"


def user_home_text(env: Mapping[str, str]) -> str:
    """The user's home directory: `HOME`, else `USERPROFILE`, else what the operating system says. Absolute.

    Raises:
        ConfigError: there is none, or one that can't be used.
    """
    for variable in ("HOME", "USERPROFILE"):
        if env.get(variable):
            return usable(env[variable], variable)
    # Needed by few: nearly everyone has a HOME.
    import pwd

    try:
        return usable(pwd.getpwuid(os.getuid()).pw_dir, "the home directory")
    except KeyError:
        raise ConfigError(f"the user with the id {os.getuid()} has no home directory", hint=HINT) from None


def usable(directory: str, what: str) -> str:
    """The directory if its path is absolute and text: messages, which carry it, are UTF-8.

    Raises:
        ConfigError: it is neither; `what` says where it comes from.
    """
    shown = directory.encode("utf-8", "backslashreplace").decode()
    if shown != directory:
        raise ConfigError(f"{what} is '{shown}', which is not UTF-8 text", hint=HINT)
    if not os.path.isabs(directory):
        raise ConfigError(f"{what} is '{directory}', which is not an absolute path", hint=HINT)
    return directory


def expanded_user(path: str, env: Mapping[str, str]) -> str:
    """A path with the home directory in place of a leading `~` or `~name`.

    Raises:
        ConfigError: the user has no home directory.
        InvalidRequest: there is no user of that name.
    """
    if not path.startswith("~"):
        return path
    first, slash, rest = path.partition("/")
    return (user_home_text(env) if first == "~" else _home_of(first[1:], path)) + slash + rest


def _home_of(name: str, path: str) -> str:
    import pwd

    try:
        return pwd.getpwnam(name).pw_dir
    except (KeyError, ValueError):
        raise InvalidRequest(
            f"{path}: there is no user '{name}'", hint=f"for a file of that name: ./{path}", details={"file": path}
        ) from None
