"""Where llmspell keeps its files. Imports nothing heavy: finding a running kernel needs no more than this."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path


def user_home(env: Mapping[str, str]) -> Path:
    """The user's home directory: `HOME`, else `USERPROFILE`, else what the operating system says."""
    return Path(env.get("HOME") or env.get("USERPROFILE") or os.path.expanduser("~"))


def llmspell_home(env: Mapping[str, str]) -> Path:
    """`LLMSPELL_HOME` as an absolute path (a leading `~/` is understood); without it `~/.llmspell`."""
    named = env.get("LLMSPELL_HOME")
    if not named:
        return user_home(env) / ".llmspell"
    if named == "~" or named.startswith("~/"):
        return user_home(env) / named[2:]
    return Path(os.path.abspath(named))


def configuration_places(env: Mapping[str, str], home: Path) -> Iterator[Path]:
    """Where a configuration file is looked for, in this order; the first one that is there is the only one read."""
    yield Path("llmspell.toml")
    yield Path(".llmspell.toml")
    yield Path("config/llmspell.toml")
    yield home / "config.toml"
    yield Path(env.get("XDG_CONFIG_HOME") or user_home(env) / ".config") / "llmspell" / "config.toml"
