"""Where llmspell keeps its files. Imports nothing: finding a running kernel needs no more than `home_text`."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path


def user_home(env: Mapping[str, str]) -> Path:
    """The user's home directory: `HOME`, else `USERPROFILE`, else what the operating system says."""
    from pathlib import Path

    return Path(_user_home_text(env))


def llmspell_home(env: Mapping[str, str]) -> Path:
    """`LLMSPELL_HOME` as an absolute path (a leading `~/` is understood); without it `~/.llmspell`."""
    from pathlib import Path

    return Path(home_text(env))


def home_text(env: Mapping[str, str]) -> str:
    """The same as text, for a command that only connects: pathlib and what it imports take 2 ms."""
    named = env.get("LLMSPELL_HOME")
    if not named:
        return os.path.join(_user_home_text(env), ".llmspell")
    if named == "~" or named.startswith("~/"):
        return os.path.join(_user_home_text(env), named[2:])
    return os.path.abspath(named)


def _user_home_text(env: Mapping[str, str]) -> str:
    return env.get("HOME") or env.get("USERPROFILE") or os.path.expanduser("~")


def configuration_places(env: Mapping[str, str], home: Path) -> Iterator[Path]:
    """Where a configuration file is looked for, in this order; the first one that is there is the only one read."""
    from pathlib import Path

    yield Path("llmspell.toml")
    yield Path(".llmspell.toml")
    yield Path("config/llmspell.toml")
    yield home / "config.toml"
    yield Path(env.get("XDG_CONFIG_HOME") or user_home(env) / ".config") / "llmspell" / "config.toml"
