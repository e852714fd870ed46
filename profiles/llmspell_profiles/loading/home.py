"""Where llmspell keeps its files. Imports little: finding a running kernel needs no more than `home_text`."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping

from llmspell_protocol.errors import ConfigError, InvalidRequest
from llmspell_protocol.user_home import HINT, expanded_user, usable, user_home_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path


def user_home(env: Mapping[str, str]) -> Path:
    """The user's home directory: `HOME`, else `USERPROFILE`, else what the operating system says.

    Raises:
        ConfigError: there is none, or one that can't be used.
    """
    from pathlib import Path

    return Path(user_home_text(env))


def known_user_home(env: Mapping[str, str]) -> Path | None:
    """The same for what can do without: None where there is none."""
    try:
        return user_home(env)
    except ConfigError:
        return None


def llmspell_home(env: Mapping[str, str]) -> Path:
    """`LLMSPELL_HOME` as an absolute path (a leading `~/` is understood); without it `~/.llmspell`.

    Raises:
        ConfigError: there is no home directory, or one that can't be used.
    """
    from pathlib import Path

    return Path(home_text(env))


def home_text(env: Mapping[str, str]) -> str:
    """The same as text, for a command that only connects: pathlib and what it imports take 2 ms."""
    named = env.get("LLMSPELL_HOME")
    if not named:
        return os.path.join(user_home_text(env), ".llmspell")
    try:
        return usable(os.path.abspath(expanded_user(named, env)), "LLMSPELL_HOME")
    except InvalidRequest as error:
        raise ConfigError(f"LLMSPELL_HOME: {error.message}", hint=HINT) from None


def configuration_places(env: Mapping[str, str], home: Path) -> Iterator[Path]:
    """Where a configuration file is looked for, in this order; the first one that is there is the only one read.

    One of the working directory that sets nothing is passed over where there is another.
    """
    from pathlib import Path

    for place in (*LOCAL_PLACES, *general_configuration_places(env, str(home))):
        yield Path(place)


LOCAL_PLACES = ("llmspell.toml", ".llmspell.toml", "config/llmspell.toml")
"""Where it is looked for below the working directory."""


def general_configuration_places(env: Mapping[str, str], home: str) -> Iterator[str]:
    """Where the user's own file may be, whatever the working directory is."""
    yield os.path.join(home, "config.toml")
    if env.get("XDG_CONFIG_HOME"):
        yield os.path.join(env["XDG_CONFIG_HOME"], "llmspell", "config.toml")
        return
    try:
        yield os.path.join(user_home_text(env), ".config", "llmspell", "config.toml")
    except ConfigError:
        return
